/*
 * Whose clock is wrong. An event that arrives late was delayed, or its sender's clock is behind: one
 * event cannot tell. So there is one definition, for every place that speaks of clocks:
 *
 *   1. A time ahead of its receipt is a wrong clock: nothing arrives before it is sent.
 *   2. A clock is behind when the *least* delay over many events says so, in two stretches of time one after
 *      the other, and both agree. What was only held back catches up, and its least delay shrinks.
 *   3. A delay longer than any queue in front of the first hop is a wrong clock as well: a device that
 *      says the year 2000 at boot. It is told for ten minutes, whatever else comes: an app may run on
 *      many devices, of which one is wrong.
 *
 * A heartbeat is sent just now, so two of them are enough for the clock of a sidecar.
 */

/** A clock that is off by more is named, in seconds. */
export const skewLimitS = 60

/** No program holds an event back for longer before its first hop, in seconds: seven days. */
export const longestDelayS = 7 * 86_400
/** A stretch of events is at least this long, in seconds, and has at least as many events. */
const [stretchS, stretchEvents] = [60, 3]
/** Two stretches agree when their least delays differ by at most this, in seconds. */
const agreementS = 10
/** How long a clock is told of that once was behind by more than any delay, in seconds. */
const tellBehindS = 600
/** A sender that was silent for longer says nothing about its clock now, in seconds. */
export const forgetAfterS = 3600
/** Senders remembered of one source, and sources: the one heard longest ago goes first. */
const maxSenders = 200
export const maxSources = 2000

/**
 * What is known of one sender; `offset` is the greatest of (time of the event - receipt), in seconds, `farBehind`
 * the last one beyond any delay.
 */
export type SenderClock = {
  startS: number
  lastS: number
  events: number
  offset: number
  before?: number
  farBehind?: { offset: number; atS: number }
}

/** @param receivedS when an event was received, and how far its time was ahead (+) or behind (-) then */
export function noteOffset(
  known: SenderClock | undefined,
  receivedS: number,
  offset: number,
): SenderClock {
  const isNew = known === undefined || Math.abs(receivedS - known.lastS) > forgetAfterS
  const last = isNew ? undefined : known.farBehind
  const farBehind = offset < -longestDelayS ? { offset, atS: receivedS } : last
  const first = { startS: receivedS, lastS: receivedS, events: 1, offset }
  if (isNew) return { ...first, ...(farBehind ? { farBehind } : {}) }
  const isFull = known.events >= stretchEvents && receivedS - known.startS >= stretchS
  if (isFull) return { ...first, before: known.offset, ...(farBehind ? { farBehind } : {}) }
  return {
    ...known,
    lastS: Math.max(known.lastS, receivedS),
    events: known.events + 1,
    offset: Math.max(known.offset, offset),
    ...(farBehind ? { farBehind } : {}),
  }
}

/** By how much a sender's clock is ahead (+) or behind (-), in seconds; 0 while that is not known. */
export function tellOffset({ events, offset, before, lastS, farBehind }: SenderClock): number {
  if (farBehind && lastS - farBehind.atS <= tellBehindS) return farBehind.offset
  const least = Math.max(offset, before ?? offset)
  if (least > 0) return least
  const agree = before !== undefined && Math.abs(before - offset) <= agreementS
  return agree && events >= stretchEvents ? least : 0
}

/**
 * What two processes know of one sender, each from the events that it received. As one that received them all would
 * judge: the greatest offset decides, and what was noted before two later stretches counts no more.
 */
export function joinClocks(a: SenderClock, b: SenderClock): SenderClock {
  const [older, newer] = a.lastS <= b.lastS ? [a, b] : [b, a]
  const isOver = newer.before !== undefined && older.lastS < newer.startS
  if (isOver || newer.lastS - older.lastS > forgetAfterS) return newer
  const befores = [older.before, newer.before].filter((before) => before !== undefined)
  const far = [older.farBehind, newer.farBehind].filter((one) => one !== undefined)
  return {
    startS: Math.min(older.startS, newer.startS),
    lastS: newer.lastS,
    events: older.events + newer.events,
    offset: Math.max(older.offset, newer.offset),
    ...(befores.length > 0 ? { before: Math.max(...befores) } : {}),
    ...(far.length > 0 ? { farBehind: far.reduce((x, y) => (x.atS > y.atS ? x : y)) } : {}),
  }
}

/** What a process knows of the senders behind one source, by the name of their app. */
export type KnownSenders = Record<string, SenderClock>

/** A sender whose clock is furthest off among those of a source; `name` is that of its app. */
export type WorstClock = { offset: number; name: string | null }

/** The clocks of the senders behind each source, bounded in number. */
export class SenderClocks {
  readonly #sources = new Map<string, Map<string, SenderClock>>()
  readonly #others = new Map<string, readonly KnownSenders[]>()

  /** @param sender the app */
  note(source: string, sender: string, receivedS: number, offset: number): void {
    const senders = this.#sources.get(source) ?? new Map<string, SenderClock>()
    putLast(this.#sources, source, senders, maxSources)
    putLast(senders, sender, noteOffset(senders.get(sender), receivedS, offset), maxSenders)
  }

  /** What was noted here of the senders of a source, for other processes. */
  known(source: string): KnownSenders {
    const senders = this.#sources.get(source) ?? new Map<string, SenderClock>()
    forgetSilent(senders)
    return Object.fromEntries(senders)
  }

  /** Takes what other processes know of a source, in place of what they knew before. */
  learn(source: string, others: readonly KnownSenders[]): void {
    putLast(this.#others, source, others, maxSources)
  }

  /** By what was noted here and learned from others. */
  worst(source: string): WorstClock {
    const senders = new Map(this.#sources.get(source))
    for (const other of this.#others.get(source) ?? []) {
      for (const [name, clock] of Object.entries(other)) {
        const own = senders.get(name)
        senders.set(name, own ? joinClocks(own, clock) : clock)
      }
    }
    forgetSilent(senders)
    const worst: WorstClock = { offset: 0, name: null }
    for (const [name, clock] of senders) {
      const offset = tellOffset(clock)
      if (Math.abs(offset) <= Math.abs(worst.offset)) continue
      worst.offset = offset
      worst.name = name
    }
    return worst
  }
}

/** Takes those away that were last heard long before the others. */
function forgetSilent(senders: Map<string, SenderClock>): void {
  const newestS = Math.max(...[...senders.values()].map(({ lastS }) => lastS))
  for (const [name, { lastS }] of senders) {
    if (newestS - lastS > forgetAfterS) senders.delete(name)
  }
}

/** Puts it behind all others, and drops the first of too many. */
function putLast<T>(map: Map<string, T>, key: string, value: T, most: number): void {
  map.delete(key)
  map.set(key, value)
  const [first] = map.keys()
  if (map.size > most && first !== undefined) map.delete(first)
}
