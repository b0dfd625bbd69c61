/** How far the wall clock may run from our reading of it before we follow it, in milliseconds. */
const driftMs = 500

/** Time of day at monotonic 0; set by the first reading. */
let origin = 0
let lastUs = 0

/**
 * Microseconds since 1970, strictly increasing within the process, so that the events of a job
 * have an order even when they come in one microsecond.
 *
 * `Date` has milliseconds only, and `performance` never notices that the clock was set (NTP, a
 * laptop that slept): both are read, and the origin is set again when they are too far apart.
 */
export function nowUs(): number {
  const monotonic = performance.now()
  if (Math.abs(origin + monotonic - Date.now()) > driftMs) {
    origin = Date.now() - monotonic
    lastUs = 0
  }
  lastUs = Math.max(lastUs + 1, Math.round((origin + monotonic) * 1000))
  return lastUs
}

/** The time as RFC 3339 in UTC with six decimals. */
export function nowText(): string {
  return formatUs(nowUs())
}

/** RFC 3339 in UTC with six decimals, of whole microseconds since 1970. */
export function formatUs(us: number): string {
  const ms = Math.floor(us / 1000)
  return `${new Date(ms).toISOString().slice(0, 23)}${String(us - ms * 1000).padStart(3, '0')}Z`
}

/** Seconds to the microsecond, never negative. */
export function roundS(seconds: number): number {
  return Math.max(0, Math.round(seconds * 1e6) / 1e6)
}
