import type { Outgoing, Refusal } from '../../core/delivery.ts'
import type { Event } from '../../core/event.ts'
import { findUnfit } from '../../core/event-columns.ts'
import { eventId } from '../../core/event-id.ts'
import { toValues } from '../../core/event-values.ts'
import { statusOf } from '../../core/sink-filter.ts'
import { isCanonical, parseTime, toMicros } from '../../core/time.ts'
import { type KeyFields, type KeyTemplate, makeKey, maxKeyLength } from './key.ts'

/** A value as it goes into a packet. */
export type Value = {
  key: string
  value: string
  clock: number
  ns: number
  /** The field of the event that it comes from. */
  field: string
}

/** What an event is to Zabbix, or the reason it could not be stored there. */
export type Item =
  | { values: readonly Value[]; app: string; site: string; metrics: readonly string[] }
  | Refusal

export const isRefusal = (item: Item): item is Refusal => 'detail' in item

/** Seconds since 1970 are 31 bits in Zabbix. */
const maxClock = 2 ** 31 - 1

/** Zabbix 6.0 drops larger ones without a word. */
const maxValue = 1e308

/** A value may be on its way for so long before Zabbix looks at its age. */
const marginMs = 60_000

export type ItemOptions = { template: KeyTemplate; historyDays: number; nowMs: number }

/** The values of an event. The same event has the same ones each time, so that Zabbix knows a repeat. */
export function toItem({ event }: Outgoing, options: ItemOptions): Item {
  const unfit = findUnfit(event) ?? findMissing(event)
  if (unfit || !event) return unfit ?? { field: '', detail: 'is not JSON' }
  const micros = toMicros(event.event.at)
  const late = findUntimely(micros, options)
  if (late) return late
  const id = eventId(event)
  const clock = Number(micros / 1_000_000n)
  // Events of the same microsecond differ by their ids: the second value of an item at the same ns is lost.
  const ns = Number(micros % 1_000_000n) * 1000 + (Number.parseInt(id.slice(0, 8), 16) % 1000)
  const fields = toFields(event)
  const values: Value[] = []
  const metrics: string[] = []
  for (const { value, metric } of toValues(event)) {
    const key = makeKey(options.template, fields, metric)
    const field = metric === undefined ? '' : `event.metrics.${metric.slice(0, 100).toWellFormed()}`
    if (key === undefined) return { field: field || 'app.name', detail: noKey }
    if (Math.abs(value) > maxValue) return { field: field || numberOf(event), detail: tooLarge }
    values.push({ key, value: String(value), clock, ns, field: field || 'app.name' })
    if (metric !== undefined) metrics.push(metric)
  }
  return { values, app: fields.app, site: fields.site, metrics }
}

const toFields = (event: Event): KeyFields => ({
  entity_type: event.entity.type,
  kind: event.event.kind,
  status: statusOf(event),
  app: event.app.name,
  site: event.site_id,
})

/** A damaged disk, or an older version, may have left out what the door asks for. */
function findMissing(event: Event | undefined): Refusal | undefined {
  const texts: [string, unknown][] = [
    ['app.name', event?.app?.name],
    ['site_id', event?.site_id],
    ['entity.type', event?.entity?.type],
    ['event.kind', event?.event?.kind],
    ['idempotency_key', event?.idempotency_key],
  ]
  const wrong = texts.find(([, value]) => typeof value !== 'string')
  if (wrong) return { field: wrong[0], detail: 'is not text: there is no key for it' }
  for (const name of ['at', 'started_at', 'ended_at'] as const) {
    const time: unknown = event?.event[name]
    const mayLack = name !== 'at' && (time === undefined || time === null)
    if (mayLack || (typeof time === 'string' && isTime(time, name))) continue
    return { field: `event.${name}`, detail: 'is not a time from 1970 to 9999' }
  }
  return undefined
}

/** A start may lie before 1970 (core/time.ts). */
const isTime = (time: string, name: string) =>
  parseTime(time) === time || (name === 'started_at' && isCanonical(time))

function findUntimely(micros: bigint, { historyDays, nowMs }: ItemOptions): Refusal | undefined {
  const oldestMs = nowMs - historyDays * 86_400_000 + marginMs
  const field = 'event.at'
  if (micros < BigInt(Math.floor(oldestMs)) * 1000n) {
    const detail = `is older than ${historyDays} days (history_days): Zabbix drops such values`
    return { field, detail }
  }
  if (micros >= BigInt(maxClock + 1) * 1_000_000n) {
    return { field, detail: 'is after 2038-01-19T03:14:07Z, the last time that Zabbix has' }
  }
  return undefined
}

const noKey = `makes no key of Zabbix: over ${maxKeyLength} characters, or it has to be quoted and ends with a backslash`
const tooLarge = `is beyond ${maxValue}, the largest number that Zabbix has`

/** The number that an event with one value has. */
const numberOf = ({ event: { kind } }: Event) =>
  kind === 'progress' ? 'event.metrics.progress' : 'event.metrics.duration_s'
