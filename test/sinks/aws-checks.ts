import type { IncomingHttpHeaders } from 'node:http'
import { gunzipSync } from 'node:zlib'

/* What AWS refuses, by the limits in the descriptions of the official clients. */

export type Json = Record<string, unknown>
export type LogEvent = { timestamp: number; message: string }
export type Datum = {
  MetricName: string
  Timestamp: number
  Dimensions?: { Name: string; Value: string }[]
  Values: number[]
  Counts: number[]
}

/** Why a request, or a part of it, is refused. */
export class Refused extends Error {
  readonly type: string
  constructor(type: string, message: string) {
    super(message)
    this.type = type
  }
}

const day = 86_400_000

/** The operation that a request asks for. */
export const operationOf = (request: { headers: IncomingHttpHeaders; path: string }): string =>
  String(request.headers['x-amz-target'] ?? request.path).replace(/^.*\./, '')

export function readInput(request: { headers: IncomingHttpHeaders; body: Buffer }): Json {
  const { headers, body } = request
  const text = String(headers['content-encoding'] === 'gzip' ? gunzipSync(body) : body)
  return JSON.parse(text === '' ? '{}' : text) as Json
}

export function checkLogs(events: readonly LogEvent[]): void {
  const refuse = (message: string) => {
    throw new Refused('InvalidParameterException', message)
  }
  if (events.length > 10_000) refuse('over 10,000 events')
  const sizes = events.map(({ message }) => Buffer.byteLength(message) + 26)
  if (sizes.reduce((sum, size) => sum + size, 0) > 1_048_576) refuse('over 1,048,576 bytes')
  const times = events.map(({ timestamp }) => timestamp)
  const sorted = times.every((time, i) => i === 0 || time >= (times[i - 1] ?? 0))
  if (!sorted) refuse('events are not in chronological order')
  if ((times.at(-1) ?? 0) - (times[0] ?? 0) > day) refuse('the batch spans more than 24 hours')
}

export function findWrongMetrics(data: readonly Datum[], text: string): string | undefined {
  if (data.length > 1000) return 'over 1000 data'
  if (Buffer.byteLength(text) > 1_048_576) return 'over 1 MB'
  return data.map(findWrongDatum).find((wrong) => wrong !== undefined)
}

function findWrongDatum({ Timestamp, Dimensions = [], Values, Counts }: Datum): string | undefined {
  const ms = Timestamp * 1000
  if (ms < Date.now() - 14 * day || ms > Date.now() + 2 * 3_600_000) return 'a time out of range'
  if (Dimensions.length > 30) return 'over 30 dimensions'
  const isText = (value: string) => /^(?=.*[!-~])[ -~]{1,1024}$/.test(value)
  if (!Dimensions.every(({ Name, Value }) => isText(Value) && isText(Name) && Name.length <= 255)) {
    return 'a dimension that is not printable ASCII'
  }
  if (Values.length > 150 || Values.length !== Counts.length) return 'over 150 values'
  const isNumber = (value: unknown) =>
    typeof value === 'number' &&
    Math.abs(value) <= 2 ** 360 &&
    (value === 0 || Math.abs(value) >= 2 ** -360)
  return Values.every(isNumber) ? undefined : 'a value out of range'
}

export function findWrongSegment(segment: Json, document: string): string | undefined {
  if (Buffer.byteLength(document) > 65_536) return 'over 64 kB'
  if (!/^[0-9a-f]{16}$/.test(String(segment.id))) return 'an id that is not 16 hex digits'
  if (!/^1-[0-9a-f]{8}-[0-9a-f]{24}$/.test(String(segment.trace_id))) return 'a wrong trace id'
  const [from, to] = [Number(segment.start_time), Number(segment.end_time)]
  if (!(from >= 0 && to >= from)) return 'an end before its start'
  if (!/^[\p{L}\p{N}\p{Z}_.:/%&#=+\-@]{1,200}$/u.test(String(segment.name))) return 'a wrong name'
  const annotations = Object.entries((segment.annotations ?? {}) as Json)
  const isAnnotation = ([name, value]: [string, unknown]) =>
    /^\w{1,500}$/.test(name) && typeof value !== 'object' && String(value).length <= 1000
  return annotations.length <= 50 && annotations.every(isAnnotation) ? undefined : 'annotations'
}

/** What the clients need to sign. */
export const testKeys = {
  AWS_ACCESS_KEY_ID: 'AKIAIOSFODNN7EXAMPLE',
  AWS_SECRET_ACCESS_KEY: 'example',
  AWS_EC2_METADATA_DISABLED: 'true',
}
