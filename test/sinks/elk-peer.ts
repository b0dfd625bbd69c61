import type { ServerResponse } from 'node:http'
import type { TestContext } from 'node:test'
import { brokenAnswers, type Reply, send, startHttpPeer } from './http-peer.ts'

/*
 * A stand-in for Elasticsearch and OpenSearch that refuses as they do: a document that is there already
 * (409), one that does not fit the types of the installed template (400, mapper_parsing_exception), a term that
 * Lucene does not take, an item that comes at a bad moment (429, 503), a request that is too large (413).
 * What it has taken it keeps.
 */

type Document = Record<string, unknown> & { idempotency_key: string }
type Verdict = { status: number; type?: string; reason?: string }
type Field = { type: string; ignore_above?: number }

export type ElkPeer = {
  url: string
  documents: Map<string, Document>
  /** Paths and bodies of what was installed. */
  installed: Map<string, Record<string, unknown>>
  /** Requests for the bulk path. */
  bulks: number
  trouble(name: string | undefined): void
}

export async function startElkPeer(
  t: Pick<TestContext, 'after'>,
  distribution: 'elasticsearch' | 'opensearch' = 'elasticsearch',
): Promise<ElkPeer> {
  let trouble: string | undefined
  const documents = new Map<string, Document>()
  const installed = new Map<string, Record<string, unknown>>()
  const { url, asked } = await startHttpPeer(t, (one, response) => {
    const { method, url: path = '' } = one.request
    const broken = brokenAnswers[trouble ?? '']
    if (broken) return broken(one, response)
    if (method === 'GET' && path === '/') return send(response, 200, greet(distribution))
    if (method === 'PUT') return put(path, one.body, response)
    if (path !== '/_bulk') return send(response, 400, { error: 'no handler found' })
    peer.bulks++
    return bulk(one, response)
  })

  function put(path: string, body: string, response: ServerResponse): void {
    if (trouble === 'a user who may only write') return void send(response, 403, {})
    const exists = installed.has(path) && path.startsWith('/_plugins')
    if (exists) return void send(response, 409, {})
    installed.set(path, JSON.parse(body))
    send(response, 200, { acknowledged: true })
  }

  const bulk: Reply = ({ body }, response) => {
    if (Buffer.byteLength(body) > 5_000_000 || trouble === '413 to all')
      return send(response, 413, {})
    const special = answers[trouble ?? '']
    if (special) return special(body, response)
    const lines = body.trimEnd().split('\n')
    const items = []
    for (let i = 0; i < lines.length; i += 2) {
      const { create } = JSON.parse(lines[i] ?? '') as { create: { _index: string; _id: string } }
      const document = JSON.parse(lines[i + 1] ?? '') as Document
      const { status, type, reason } = take(create, document, i / 2)
      items.push({ create: { ...create, status, ...(type ? { error: { type, reason } } : {}) } })
    }
    if (trouble === 'an answer that is lost after the commit') return void response.destroy()
    if (trouble === 'an item too few') items.pop()
    if (trouble === 'items in another order') items.reverse()
    return send(response, 200, {
      took: 1,
      errors: items.some(({ create }) => create.status > 299),
      items,
    })
  }

  function take(create: { _index: string; _id: string }, document: Document, at: number): Verdict {
    const key = `${create._index}/${create._id}`
    if (documents.has(key)) return { status: 409, type: 'version_conflict_engine_exception' }
    if (trouble === 'some items 429' && at % 3 === 1) {
      return { status: 429, type: 'es_rejected_execution_exception' }
    }
    if (trouble === 'all items 503') return { status: 503, type: 'unavailable_shards_exception' }
    if (trouble === 'too many shards') return { status: 400, type: 'validation_exception' }
    const wrong = findWrong(document, fieldsOf(installed))
    if (wrong) return { status: 400, type: 'mapper_parsing_exception', reason: wrong }
    documents.set(key, document)
    return { status: 201 }
  }

  const peer: ElkPeer = {
    ...{ url, documents, installed, bulks: 0 },
    trouble(name) {
      trouble = name
    },
  }
  t.after(() => asked.splice(0))
  return peer
}

const greet = (distribution: string) => ({
  version: {
    number: distribution === 'opensearch' ? '2.19.0' : '9.0.0',
    ...(distribution === 'opensearch' ? { distribution } : {}),
  },
})

const fieldsOf = (installed: Map<string, Record<string, unknown>>): Record<string, Field> => {
  const template = [...installed].find(([path]) => path.startsWith('/_index_template'))?.[1]
  const { mappings } = (template?.template ?? {}) as { mappings?: { properties: object } }
  return (mappings?.properties ?? {}) as Record<string, Field>
}

const isNumber = (value: unknown) => typeof value === 'number' && Number.isFinite(value)
const fits: Record<string, (value: unknown, field: Field) => boolean> = {
  date: (value) => typeof value === 'string' && !Number.isNaN(Date.parse(value)),
  double: isNumber,
  long: (value) => Number.isInteger(value),
  boolean: (value) => typeof value === 'boolean',
  keyword: (value, { ignore_above = Infinity }) =>
    typeof value === 'string' &&
    (Buffer.byteLength(value) <= 32_766 || value.length > ignore_above),
  flattened: (value) => typeof value === 'object' && depthOf(value) <= 40,
  flat_object: (value) => typeof value === 'object',
}

function findWrong(document: Document, fields: Record<string, Field>): string | undefined {
  for (const [name, value] of Object.entries(document)) {
    const field = fields[name]
    if (field && !fits[field.type]?.(value, field)) {
      return `failed to parse field [${name}] of type [${field.type}] in document`
    }
  }
  // The number of an event that this server does not want.
  return document.app_version === 'unwanted' ? 'failed to parse field [app_version]' : undefined
}

const depthOf = (value: unknown): number =>
  typeof value === 'object' && value !== null
    ? 1 + Math.max(0, ...Object.values(value).map(depthOf))
    : 0

const answers: Readonly<Record<string, (body: string, response: ServerResponse) => unknown>> = {
  'a page of a proxy': (_, response) => send(response, 200, '<h1>Welcome</h1>'),
  'null for an answer': (_, response) => send(response, 200, 'null'),
  'items that are no list': (_, response) => send(response, 200, { items: { length: 10 } }),
  'items that are null': (body, response) =>
    send(response, 200, {
      items: body
        .trimEnd()
        .split('\n')
        .map(() => null),
    }),
  'deep JSON': (_, response) => send(response, 200, '{"items":'.repeat(100_000)),
  '100 MB': (_, response) => send(response, 200, Buffer.alloc(100_000_000, ' ')),
  'a wrong charset': (_, response) =>
    send(response, 200, Buffer.from('{"items":[{"create":{"status":201,"_id":"é"}}]}', 'utf16le')),
}

export const troubleNames = [
  ...Object.keys(brokenAnswers),
  ...Object.keys(answers),
  'some items 429',
  'all items 503',
  'too many shards',
  'an answer that is lost after the commit',
  'an item too few',
  'items in another order',
  '413 to all',
  'a user who may only write',
]
