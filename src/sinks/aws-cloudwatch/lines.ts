import type { Refusal } from '../../core/delivery.ts'
import type { Event } from '../../core/event.ts'
import { findUnfit, toLogLine } from '../../core/event-columns.ts'
import { eventId } from '../../core/event-id.ts'
import { type Measurement, toMeasurements } from '../../core/event-metrics.ts'
import { parseTime, toMs } from '../../core/time.ts'

/*
 * Events as CloudWatch takes them, within all of its limits: what it would refuse is found here first, by our own
 * clock, because it refuses a whole request for some of it, and the rest it drops in a 200.
 */

const day = 86_400_000
/** Older events are refused, of logs and of metrics. Less two minutes: metrics have whole minutes, and the way takes time. */
const maxAgeMs = 14 * day - 120_000
/** So are those further ahead. */
const maxAheadMs = 2 * 3_600_000
/** A request of logs has at most so many bytes, counting 26 more for each event. */
const maxRequestBytes = 1_048_576
const overhead = 26
const maxEvents = 10_000
/** The greatest magnitude of a metric. */
const maxValue = 2 ** 360

/** An event on its way: its line, and the metrics of the job that it ends. */
export type Line = {
  id: string
  event: Event
  timestamp: number
  message: string
  bytes: number
  measurements: readonly Measurement[]
}

/** @param nowMs since 1970 */
export function toLine(event: Event | undefined, nowMs: number): Line | Refusal {
  const unfit = findUnfit(event)
  if (unfit || !event) return unfit ?? { field: '', detail: 'is not JSON' }
  const { at } = event.event ?? {}
  const time = typeof at === 'string' ? parseTime(at) : undefined
  if (time === undefined) return { field: 'event.at', detail: 'is missing: damaged on disk' }
  const timestamp = Math.floor(toMs(time))
  const wrong = findWrongTime(timestamp, nowMs)
  if (wrong) return { field: 'event.at', detail: wrong }
  const message = toLogLine(event)
  const bytes = Buffer.byteLength(message) + overhead
  if (bytes > maxRequestBytes) {
    return {
      field: '',
      detail: `makes a line of ${bytes - overhead} bytes; CloudWatch Logs takes ${maxRequestBytes - overhead}`,
    }
  }
  const measurements = toMeasurements(event, maxValue)
  if ('detail' in measurements) return measurements
  return { id: eventId(event), event, timestamp, message, bytes, measurements }
}

export const isRefusal = (line: Line | Refusal): line is Refusal => 'detail' in line

function findWrongTime(timestamp: number, nowMs: number): string | undefined {
  if (timestamp < nowMs - maxAgeMs)
    return 'is too long ago: CloudWatch takes the last 14 days, less two minutes'
  return timestamp > nowMs + maxAheadMs
    ? 'is too far ahead: CloudWatch takes up to 2 hours after now, by the clock of this machine'
    : undefined
}

/** The lines in order of time, cut into requests: none spans 24 hours, or has too many events or bytes. */
export function toRequests(lines: readonly Line[]): Line[][] {
  const requests: Line[][] = []
  let current: Line[] = []
  let bytes = 0
  for (const line of [...lines].sort((a, b) => a.timestamp - b.timestamp)) {
    const [first = line] = current
    const isFull =
      line.timestamp - first.timestamp >= day ||
      bytes + line.bytes > maxRequestBytes ||
      current.length >= maxEvents
    if (current.length === 0 || isFull) {
      current = []
      bytes = 0
      requests.push(current)
    }
    current.push(line)
    bytes += line.bytes
  }
  return requests
}
