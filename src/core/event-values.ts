import type { Event } from './event.ts'
import { kinds } from './kinds.ts'
import { secondsBetween } from './time.ts'

/*
 * An event as numbers, for destinations that keep nothing else: Zabbix. An event has one value, but for
 * `metric`, which has one for each of its metrics, by name.
 */

/** `metric`: its name, where an event may have several values. */
export type EventValue = { value: number; metric?: string }

type Rule = { about: string; read: (event: Event) => readonly EventValue[] }

const one: Rule = { about: '1.', read: () => [{ value: 1 }] }

const duration: Rule = {
  about:
    'Duration in seconds: `metrics.duration_s`, else the time from `started_at` to `ended_at` or `at`; 0 when the event says neither.',
  read: ({ event: { metrics, started_at: start, ended_at: end, at } }) => {
    const said = toNumber(metrics?.duration_s)
    return [{ value: said ?? (start ? secondsBetween(start, end ?? at) : 0) }]
  },
}

/** The values of each kind of event. */
export const valueRules: Readonly<Record<(typeof kinds)[number], Rule>> = {
  queued: one,
  started: one,
  progress: {
    about: '`metrics.progress`; without it there is no value, and nothing is sent.',
    read: ({ event: { metrics } }) => {
      const value = toNumber(metrics?.progress)
      return value === undefined ? [] : [{ value }]
    },
  },
  metric: {
    about: 'Each of `metrics`; its name is one more parameter of the key.',
    read: ({ event: { metrics } }) =>
      Object.entries(metrics ?? {}).flatMap(([metric, given]) => {
        const value = toNumber(given)
        return value === undefined ? [] : [{ value, metric }]
      }),
  },
  finished: duration,
  error: one,
  canceled: duration,
}

/** The values of an event; none for a kind that is not known. */
export const toValues = (event: Event): readonly EventValue[] =>
  kinds.includes(event.event.kind) ? valueRules[event.event.kind].read(event) : []

/** Whole numbers that no double holds exactly are objects (core/exact-number.ts). */
function toNumber(given: unknown): number | undefined {
  if (given === undefined || given === null) return undefined
  const value = Number(given)
  return Number.isNaN(value) ? undefined : value
}
