import { createHash } from 'node:crypto'
import { encodeResponse, keyOf, readRequest, valuesOf } from '../../../sinks/otlp-peer.ts'
import { pages, type Reply, runPeer } from '../peer.ts'
import type { Seen } from '../seen.ts'

/*
 * A receiver of OTLP that reads spans by the official .proto files. It knows a span by its trace, its id and all that is in
 * it: a repeat has the same, and anything else is another span.
 */

const isId = (id: string, length: number) => id.length === length && !/^0*$/.test(id)

const read = (body: Buffer): Seen[] =>
  readRequest(body).map((span) => {
    const { traceId, spanId, attributes } = span
    if (!isId(traceId, 32) || !isId(spanId, 16)) throw new Error(`the ids ${traceId} ${spanId}`)
    const { 'wafermon.parent_id': parent, 'wafermon.entity_id': entity } = valuesOf(attributes)
    const content = createHash('sha256').update(JSON.stringify(span)).digest('base64')
    return {
      ...{ id: `${traceId} ${spanId} ${content}`, key: keyOf(span) },
      ...{ epoch: '', seq: 0, job: String(parent ?? entity) },
    }
  })

const headers = { 'content-type': 'application/x-protobuf' }

/** Beside the pages of others, what the protocol could say and no receiver may. */
const garbage: readonly Reply[] = [
  ...[...pages, encodeResponse(-1), encodeResponse(1).subarray(0, 3)].map((body) => ({
    ...{ status: 200, body },
  })),
  { status: 200, body: '{"partialSuccess":{}}', headers: { 'content-type': 'application/json' } },
]

runPeer(() => ({
  isEvents: ({ method, path }) => method === 'POST' && path === '/v1/traces',
  headers,
  read: ({ headers: sent, body }) => {
    if (sent['content-type'] !== headers['content-type']) throw new Error('its type')
    return read(body)
  },
  other: () => ({ status: 404 }),
  answer(_, taken, known) {
    const rejected = taken.filter((isTaken, i) => !isTaken && !known[i]).length
    return { status: 200, body: encodeResponse(rejected, rejected > 0 ? 'planted' : '') }
  },
  tooLarge: ({ length }) => (length > 2 ? { status: 413 } : undefined),
  garbage: () => garbage,
}))
