import { randomUUID } from 'node:crypto'
import { runPeer } from '../peer.ts'
import type { Seen } from '../seen.ts'

/*
 * Elasticsearch as far as counting goes: a document is known by its index and its _id, and one without an _id gets a
 * new one each time, as there. What it refuses, and how, is in test/sinks/elk-peer.ts.
 */

type Document = Record<'idempotency_key' | 'source_epoch' | 'entity_id', string> & {
  parent_id?: string
  source_seq: number
}

const read = (text: string): Seen[] => {
  const lines = text.trimEnd().split('\n')
  return lines.flatMap((line, i) => {
    if (i % 2 === 1) return []
    const { create } = JSON.parse(line) as { create: { _index: string; _id?: string } }
    const document = JSON.parse(lines[i + 1] ?? '') as Document
    return {
      id: `${create._index}/${create._id ?? randomUUID()}`,
      key: document.idempotency_key,
      ...{ epoch: document.source_epoch, seq: document.source_seq },
      job: document.parent_id ?? document.entity_id,
    }
  })
}

runPeer(() => ({
  isEvents: ({ path }) => path === '/_bulk',
  read: ({ body }) => read(String(body)),
  other: ({ method, path }) =>
    method === 'GET' && path === '/'
      ? { status: 200, body: { version: { number: '9.0.0' } } }
      : { status: 200, body: { acknowledged: true } },
  answer(events, taken, known) {
    const items = events.map(({ id }, i) => {
      const [_index = '', _id = ''] = id.split('/')
      const status = known[i] ? 409 : taken[i] ? 201 : 429
      const error = status === 201 ? {} : { error: { type: 'planted', reason: 'planted' } }
      return { create: { _index, _id, status, ...error } }
    })
    return { status: 200, body: { took: 1, errors: taken.includes(false), items } }
  },
  tooLarge: ({ length }) => (length > 5 ? { status: 413 } : undefined),
}))
