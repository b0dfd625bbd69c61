import { join } from 'node:path'
import type { TestContext } from 'node:test'
import protobuf from 'protobufjs'
import { sidFolder } from '../support/sid.ts'
import { type Asked, brokenAnswers, type Reply, send, startHttpPeer } from './http-peer.ts'

/*
 * A receiver of OTLP over HTTP that reads requests by the official .proto files, and refuses as the collector does:
 * ids of a wrong length, bodies that are no request, and what it is told to.
 */

type Value = { stringValue?: string; intValue?: string; doubleValue?: number; boolValue?: boolean }
type Attribute = { key: string; value: Value }

export type ReadSpan = {
  traceId: string
  spanId: string
  parentSpanId?: string
  name: string
  kind: string
  startTimeUnixNano: string
  endTimeUnixNano: string
  attributes: Attribute[]
  links?: { traceId: string; spanId: string }[]
  status: { code?: string; message?: string }
  /** Of its resource. */
  resource: Attribute[]
  scope: { name: string; version: string }
}

type Request = {
  resourceSpans?: {
    resource: { attributes: Attribute[] }
    scopeSpans: { scope: ReadSpan['scope']; spans: ReadSpan[] }[]
  }[]
}

function loadTypes() {
  const root = new protobuf.Root()
  root.resolvePath = (_, target) => join(sidFolder, 'usr/include', target)
  root.loadSync('opentelemetry/proto/collector/trace/v1/trace_service.proto')
  const typeOf = (name: string) =>
    root.lookupType(`opentelemetry.proto.collector.trace.v1.ExportTraceService${name}`)
  return { request: typeOf('Request'), response: typeOf('Response') }
}
let types: ReturnType<typeof loadTypes> | undefined
const readTypes = () => {
  types ??= loadTypes()
  return types
}

/** The spans of a request, ids in hex. @throws when it is none */
export function readRequest(bytes: Uint8Array): ReadSpan[] {
  const { request } = readTypes()
  const read = request.toObject(request.decode(bytes), { longs: String, enums: String }) as Request
  return (read.resourceSpans ?? []).flatMap(({ resource, scopeSpans }) =>
    scopeSpans.flatMap(({ scope, spans }) =>
      spans.map((span) => ({ ...toHex(span), scope, resource: resource.attributes })),
    ),
  )
}

const hex = (id: unknown) => Buffer.from(id as Uint8Array).toString('hex')

const toHex = (span: ReadSpan): ReadSpan => ({
  ...span,
  ...{ traceId: hex(span.traceId), spanId: hex(span.spanId) },
  ...(span.parentSpanId ? { parentSpanId: hex(span.parentSpanId) } : {}),
  ...(span.links
    ? { links: span.links.map((at) => ({ traceId: hex(at.traceId), spanId: hex(at.spanId) })) }
    : {}),
})

/** Attributes by name, as values of JavaScript. */
export const valuesOf = (attributes: readonly Attribute[]): Record<string, unknown> =>
  Object.fromEntries(
    attributes.map(({ key, value }) => {
      const { intValue, ...other } = value
      return [key, intValue === undefined ? Object.values(other)[0] : Number(intValue)]
    }),
  )

export const encodeResponse = (rejectedSpans: number, errorMessage = ''): Buffer => {
  const { response } = readTypes()
  const partialSuccess = { rejectedSpans, errorMessage }
  return Buffer.from(response.encode(response.fromObject({ partialSuccess })).finish())
}

/** True for what the official .proto files take for a response. */
export function isResponse(bytes: Uint8Array): boolean {
  try {
    readTypes().response.decode(bytes)
    return true
  } catch {
    return false
  }
}

export type OtlpPeer = {
  url: string
  /** In the order in which they came. */
  took: ReadSpan[]
  asked: Asked[]
  /** Keys of the events whose spans it refused. */
  refused: Set<string>
  trouble(name: string | undefined): void
}

export const keyOf = ({ attributes }: ReadSpan) =>
  String(valuesOf(attributes)['wafermon.idempotency_key'])

/** @param unwanted the key of an event that it refuses */
export async function startOtlpPeer(
  t: Pick<TestContext, 'after'>,
  unwanted = '',
): Promise<OtlpPeer> {
  let trouble: string | undefined
  const { url, asked } = await startHttpPeer(t, (one, response) => {
    const broken = brokenAnswers[trouble ?? ''] ?? answers[trouble ?? '']
    if (broken) return broken(one, response)
    const { method, url: path, headers } = one.request
    if (method !== 'POST' || path !== '/v1/traces') return send(response, 404)
    if (headers['content-type'] !== 'application/x-protobuf') return send(response, 415)
    return receive(one, response)
  })

  const receive: Reply = ({ bytes }, response) => {
    const spans = readRequest(bytes)
    const isWhole = (id: string, length: number) => id.length === length && !/^0*$/.test(id)
    const wrong = spans.find(({ traceId, spanId }) => !isWhole(traceId, 32) || !isWhole(spanId, 16))
    if (wrong) return send(response, 400, 'invalid ids')
    const keys = spans.map(keyOf)
    if (keys.includes(unwanted)) {
      if (keys.length === 1) peer.refused.add(unwanted)
      return send(response, 400, 'a span is not wanted')
    }
    if (trouble === '413 to more than two' && spans.length > 2) return send(response, 413)
    const rejected = { 'rejects all': spans.length, 'more rejected than sent': 1000 }[trouble ?? '']
    if (rejected !== undefined) {
      for (const key of keys) peer.refused.add(key)
      return send(response, 200, encodeResponse(rejected, 'no room'), protobufType)
    }
    peer.took.push(...spans)
    if (trouble === 'an answer that is lost after the commit') return response.destroy()
    return send(response, 200, encodeResponse(0), protobufType)
  }

  const peer: OtlpPeer = {
    ...{ url, took: [], asked, refused: new Set() },
    trouble: (name) => {
      trouble = name
    },
  }
  return peer
}

const protobufType = { 'content-type': 'application/x-protobuf' }
const say =
  (body: unknown, headers = protobufType): Reply =>
  (_, response) =>
    send(response, 200, body, headers)

/** Answers of 200 that are none. */
const answers: Readonly<Record<string, Reply>> = {
  'a page of a proxy': say('<h1>Welcome</h1>', { 'content-type': 'text/html' }),
  'a page that says it is protobuf': say('<h1>Welcome</h1>'),
  'JSON for protobuf': say('{}', { 'content-type': 'application/json' }),
  'less than none rejected': (_, response) => send(response, 200, encodeResponse(-1), protobufType),
  'a count that does not end': say(Buffer.from([0x0a, 0x7f, 0x08, ...Array(500).fill(0xff)])),
  'a length beyond its end': say(Buffer.from([0x0a, 0xff, 0xff, 0xff, 0xff, 0x7f])),
  '100 MB': say(Buffer.alloc(100_000_000, 0)),
}

export const troubleNames = [
  ...Object.keys(brokenAnswers),
  ...Object.keys(answers),
  '413 to more than two',
  'rejects all',
  'more rejected than sent',
  'an answer that is lost after the commit',
]
