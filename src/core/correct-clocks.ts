import type { Event } from './event.ts'
import { fromMs, type Micros, toMs } from './time.ts'

/**
 * Times too far ahead become `receivedAt`; what the sender said is kept beside them. The past is
 * never touched: a spool may deliver after a week.
 *
 * @returns true when a clock was corrected
 */
export function correctClocks({ event }: Event, receivedAt: Micros, maxSkewS: number): boolean {
  let corrected = false
  for (const name of clocks) {
    const value = event[name]
    if (!value || !isAhead(value, receivedAt, maxSkewS)) continue
    event[`reported_${name}`] ??= value
    event[name] = receivedAt
    corrected = true
  }
  return corrected
}

const clocks = ['at', 'started_at', 'ended_at'] as const

/** The second comparison takes microseconds, and most clocks are not ahead at all. */
const isAhead = (value: Micros, receivedAt: Micros, maxSkewS: number): boolean =>
  value > receivedAt && value > fromMs(toMs(receivedAt) + maxSkewS * 1000)

/** The most that any first hop lets a clock be ahead: the greatest MAX_SKEW_S. */
const maxStampedSkewS = 86_400

/**
 * A stamped event with times that no first hop lets pass: they would head every list until they come,
 * so they are corrected by our own time, which the stamp cannot set. Copies of the event may get other
 * times; the store lets the first one decide, as for any other correction.
 */
export function boundStamp(envelope: Event, receivedAt: Micros): boolean {
  const corrected = correctClocks(envelope, receivedAt, maxStampedSkewS)
  if (isAhead(envelope.received_at, receivedAt, maxStampedSkewS)) envelope.received_at = receivedAt
  return corrected
}
