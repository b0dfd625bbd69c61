import { fromMicros, type Micros } from '../../../core/time.ts'
import {
  BadValue,
  type Cut,
  defineFormat,
  type Metadata,
  type Observation,
  type Skipped,
} from '../format.ts'
import { isObject, parseObject } from '../json-lines.ts'
import { observeRecord } from '../record.ts'
import type { Source } from '../source.ts'
import { filled, lookUp, shorten } from '../values.ts'

/*
 * OpenTelemetry spans as JSON: one `ExportTraceServiceRequest` per line, as the file exporter of the collector
 * writes them, or one over several lines. The root of a trace is a job, and every span below it a subjob.
 */
export const otlpJson = defineFormat<Span>({
  cut,
  observe: () => observeSpan,
})

type Json = Record<string, unknown>
/** A span with the attributes of its resource, or why there is none. */
type Span = { span: Json; resource: Metadata } | { why: string }

/** Longest request over several lines that is held, in UTF-16 units. */
const maxRequestLength = 32 * 2 ** 20

/** Joins lines until their brackets match; a line that begins a request ends one that is not whole. */
async function* cut(source: Source): AsyncGenerator<Cut<Span>> {
  let open: { line: number; lines: string[]; length: number; depth: number } | undefined
  for await (const one of source.lines()) {
    if ('why' in one) {
      yield one
      continue
    }
    const { line, value } = one
    if (value.trim() === '') continue
    if (open && /^\{\s*"resourceSpans"/.test(value)) {
      yield { line: open.line, why: 'is not whole: its brackets do not match' }
      open = undefined
    }
    open ??= { line, lines: [], length: 0, depth: 0 }
    open.lines.push(value)
    open.length += value.length
    open.depth += depthOf(value)
    if (open.length > maxRequestLength) {
      yield { line: open.line, why: `is longer than ${maxRequestLength} characters; split it` }
      open = undefined
    } else if (open.depth <= 0) {
      yield* spansOf(open.line, open.lines.join('\n'))
      open = undefined
    }
  }
  if (open) yield { line: open.line, why: 'is not whole: its brackets do not match' }
}

/** Brackets that a line opens and does not close. No text of JSON has a line end in it. */
function depthOf(line: string): number {
  const bare = line.includes('"') ? line.replaceAll(/"(?:\\.|[^"\\])*"?/g, '') : line
  let depth = 0
  for (const bracket of bare) {
    if (bracket === '{' || bracket === '[') depth++
    else if (bracket === '}' || bracket === ']') depth--
  }
  return depth
}

function* spansOf(line: number, text: string): Generator<Cut<Span>> {
  let request: Json
  try {
    request = parseObject(text)
  } catch (error) {
    if (!(error instanceof BadValue)) throw error
    return yield { line, why: error.message }
  }
  if (request.resourceSpans === undefined) {
    if (request.resourceMetrics || request.resourceLogs) return
    return yield { line, why: 'resourceSpans: is missing' }
  }
  for (const group of listOf(request.resourceSpans)) {
    const resource = isObject(group.resource) ? attributesOf(group.resource.attributes) : {}
    const scopes = listOf(group.scopeSpans ?? group.instrumentationLibrarySpans)
    for (const scope of scopes) {
      for (const span of Array.isArray(scope.spans) ? scope.spans : []) {
        yield {
          line,
          value: isObject(span) ? { span, resource } : { why: 'a span is not an object' },
        }
      }
    }
  }
}

const listOf = (value: unknown): Json[] => (Array.isArray(value) ? value.filter(isObject) : [])

function observeSpan(piece: Span): Iterable<Observation | Skipped> {
  if ('why' in piece) throw new BadValue(piece.why)
  const { span, resource } = piece
  const traceId = readHex('traceId', span.traceId, 32)
  const spanId = readHex('spanId', span.spanId, 16)
  const parent = span.parentSpanId ? readHex('parentSpanId', span.parentSpanId, 16) : undefined
  const endedAt = readNanos('endTimeUnixNano', span.endTimeUnixNano)
  const status = readStatus(span.status)
  const name = typeof span.name === 'string' && span.name !== '' ? span.name : spanId
  const toText = (value: unknown) => (value === undefined ? undefined : String(value))
  return observeRecord({
    job: `${traceId}:${spanId}`,
    ...(parent === undefined ? {} : { parent: `${traceId}:${parent}` }),
    key: name,
    app: toText(resource['service.name']),
    version: toText(resource['service.version']),
    traceparent: `00-${traceId}-${spanId}-01`,
    status: endedAt === undefined ? 'running' : status.failed ? 'failed' : 'succeeded',
    startedAt: readNanos('startTimeUnixNano', span.startTimeUnixNano),
    endedAt,
    ofStart: filled({
      ...attributesOf(span.attributes),
      host: toText(resource['host.name']),
      span_kind: lookUp(kinds, String(span.kind)),
      span_links: linksOf(span.links),
    }),
    ofEnd: describeEnd(span.events, status),
  })
}

const kinds: Record<string, string> = {
  ...{ 2: 'server', 3: 'client', 4: 'producer', 5: 'consumer' },
  ...{ SPAN_KIND_SERVER: 'server', SPAN_KIND_CLIENT: 'client' },
  ...{ SPAN_KIND_PRODUCER: 'producer', SPAN_KIND_CONSUMER: 'consumer' },
}

function readHex(name: string, value: unknown, length: number): string {
  const text = typeof value === 'string' ? value.toLowerCase() : ''
  if (text.length === length && /^[\da-f]+$/.test(text) && !/^0+$/.test(text)) return text
  throw new BadValue(`${name}: ${shorten(String(value))} is not ${length} hexadecimal digits`)
}

/** Nanoseconds since 1970, as text or as a number; 0 and absent mean that there is no such time. */
function readNanos(name: string, value: unknown): Micros | undefined {
  if (value === undefined || value === null || value === '' || String(value) === '0') {
    return undefined
  }
  const text = String(value)
  if (!/^\d{1,20}$/.test(text)) throw new BadValue(`${name}: ${shorten(text)} is not nanoseconds`)
  return fromMicros(BigInt(text) / 1000n)
}

/** Unset is a success: a span says only that it failed. */
function readStatus(value: unknown): Status {
  const { code, message } = isObject(value) ? value : {}
  const failed = code === 2 || code === 'STATUS_CODE_ERROR'
  return { failed, message: typeof message === 'string' && message !== '' ? message : undefined }
}
type Status = { failed: boolean; message: string | undefined }

const linksShown = 20

function linksOf(value: unknown): Metadata[] | undefined {
  const links = listOf(value)
  if (links.length === 0) return undefined
  return links
    .slice(0, linksShown)
    .map(({ traceId, spanId }) => ({ trace_id: String(traceId), span_id: String(spanId) }))
}

/** The last exception of a span is its error; of other events the names are kept. */
function describeEnd(value: unknown, { failed, message }: Status): Metadata | undefined {
  const events = listOf(value)
  const last = events.findLast(({ name }) => name === 'exception')
  const exception = last ? attributesOf(last.attributes) : {}
  const others = events.filter(({ name }) => name !== 'exception').map(({ name }) => String(name))
  const error = exception['exception.message'] ?? (failed ? message : undefined)
  return filled({
    error,
    message: message === error ? undefined : message,
    error_type: exception['exception.type'],
    stack: exception['exception.stacktrace'],
    span_events: others.length > 0 ? others.slice(0, linksShown) : undefined,
  })
}

/** `[{key, value: {stringValue}}]` as an object. */
function attributesOf(value: unknown, depth = 0): Metadata {
  const entries = listOf(value).flatMap(({ key, value: any }) =>
    typeof key === 'string' ? [[key, readValue(any, depth)] as const] : [],
  )
  return Object.fromEntries(entries)
}

const deepest = 8

function readValue(any: unknown, depth: number): unknown {
  if (!isObject(any) || depth > deepest) return undefined
  const { stringValue, boolValue, intValue, doubleValue, arrayValue, kvlistValue, bytesValue } = any
  if (intValue !== undefined) return toWhole(intValue)
  if (isObject(arrayValue)) return listOf(arrayValue.values).map((one) => readValue(one, depth + 1))
  if (isObject(kvlistValue)) return attributesOf(kvlistValue.values, depth + 1)
  return stringValue ?? boolValue ?? doubleValue ?? bytesValue
}

/** 64 bits come as text; a number that no double holds stays text. */
function toWhole(value: unknown): unknown {
  const number = Number(value)
  return Number.isSafeInteger(number) ? number : String(value)
}
