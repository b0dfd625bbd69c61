import { entryFromSlots, uniteEntries } from './attempts.ts'
import { compareText } from './compare-text.ts'
import type { Event } from './event.ts'
import { slotsFromEvent } from './event-slots.ts'
import { ensure } from './must.ts'
import {
  isOfJob,
  type MergeRule,
  maxHashes,
  type NamedValue,
  type SlotGroup,
  type SlotName,
  type Slots,
  slotList,
  toGroups,
} from './slots.ts'
import { toSpans } from './spans.ts'

/*
 * The state of a job as a fold over its events. Rules: wire.md, section 5.
 *
 * The state is a row of slots (core/slots.ts), which take events in any order and any split. So
 * folding a batch here and merging it into the stored row by the same rules in SQL (store/ingest)
 * gives the same row as folding everything together. Each event must be folded only once: the
 * counters add up.
 */

/** Maximum metric names of one job; of more, the first by code point stay. */
const maxMetricNames = 64

/** Folds events, each given once, to one row of slots per job and per subjob. */
export function foldEvents(events: Iterable<Event>): { jobs: Slots[]; subjobs: Slots[] } {
  const jobs = new Map<string, Slots>()
  const subjobs = new Map<string, Slots>()
  for (const event of events) {
    const rows = event.entity.type === 'job' ? jobs : subjobs
    const slots = slotsFromEvent(event)
    const known = rows.get(slots.id)
    if (known) mergeSlots(known, slots)
    else rows.set(slots.id, slots)
  }
  return { jobs: [...jobs.values()], subjobs: [...subjobs.values()] }
}

/** A row by the names of the table, for the rules, which do not look at what a slot means. */
type Row = { [N in SlotName]?: unknown }
/** True when a value replaces the known one. */
type Wins = (value: never, known: never) => boolean

const isLess: Wins = (value: number, known: number) => value < known
const isGreater: Wins = (value: number, known: number) => value > known
const isGreaterText: Wins = (value: string, known: string) => compareText(value, known) > 0
const isLessText: Wins = (value: string, known: string) => compareText(value, known) < 0

/** Slots by their rules. */
type Rules = {
  bounds: { name: SlotName; wins: Wins }[]
  groups: SlotGroup[]
  named: SlotName[]
  unions: SlotName[]
  sums: SlotName[]
}

function rulesOf(list: typeof slotList): Rules {
  const by = (rule: MergeRule) => list.filter(([, { merge }]) => merge === rule)
  const names = (rule: MergeRule) => by(rule).map(([name]) => name)
  // Times and ids are text that `<` orders as the database does; of other text it is by code point.
  const bounds = (rule: MergeRule, plain: Wins, ofText: Wins) =>
    by(rule).map(([name, { type }]) => ({ name, wins: type === 'text' ? ofText : plain }))
  return {
    bounds: [
      ...bounds('least', isLess, isLessText),
      ...bounds('greatest', isGreater, isGreaterText),
    ],
    groups: toGroups(list),
    named: names('latest_by_name'),
    unions: names('union'),
    sums: names('sum'),
  }
}

const ofJob = rulesOf(slotList.filter(([, slot]) => isOfJob(slot)))
const ownSlots = slotList.filter(([, slot]) => !isOfJob(slot))
const ofAttempt = rulesOf(ownSlots)

/** Merges `other`, a fold of other events of the same job, into `into`, by the rules of the table. */
export function mergeSlots(into: Slots, other: Slots): void {
  ensure(into.id === other.id, 'only folds of the same job are merged')
  const ahead = other.attempt - into.attempt
  if (ahead !== 0 || other.attempts !== undefined) mergeAttempts(into, other)
  mergeBy(ofJob, into, other)
  if (ahead === 0) mergeBy(ofAttempt, into, other)
  else if (ahead > 0) takeAttempt(into, other)
}

/** Of two folds of different attempts, the lower one leaves an entry. */
function mergeAttempts(into: Slots, other: Slots): void {
  const lower = into.attempt < other.attempt ? into : other
  const left =
    into.attempt === other.attempt ? undefined : { [lower.attempt]: entryFromSlots(lower) }
  const entries = uniteEntries(uniteEntries(into.attempts, other.attempts), left)
  if (entries !== undefined) into.attempts = entries
}

/** A later attempt begins anew: nothing of the earlier one stays, also where it says nothing. */
function takeAttempt(ours: Row, theirs: Row): void {
  for (const [name] of ownSlots) take(ours, theirs, name)
}

function take(ours: Row, theirs: Row, name: SlotName): void {
  if (theirs[name] === undefined) delete ours[name]
  else ours[name] = theirs[name]
}

function mergeBy({ bounds, groups, named, unions, sums }: Rules, ours: Row, theirs: Row): void {
  for (const { name, wins } of bounds) {
    const value = theirs[name]
    if (value === undefined) continue
    const known = ours[name]
    if (known === undefined || wins(value as never, known as never)) ours[name] = value
  }
  for (const group of groups) mergeGroup(ours, theirs, group)
  for (const name of named) mergeNamed(ours, theirs, name)
  for (const name of unions) mergeUnion(ours, theirs, name)
  for (const name of sums) ours[name] = (ours[name] as number) + (theirs[name] as number)
}

/** Takes a group of slots from the side whose event is greater by (`at`, key). */
function mergeGroup(ours: Row, theirs: Row, group: SlotGroup): void {
  const { at, key, values } = group
  if (theirs[at] === undefined || !isLater(theirs, ours, group)) return
  ours[at] = theirs[at]
  ours[key] = theirs[key]
  for (const name of values) take(ours, theirs, name)
}

function isLater(a: Row, b: Row, { at, key, yields }: SlotGroup): boolean {
  if (b[at] === undefined) return true
  if (yields && (a[yields.name] === yields.value) !== (b[yields.name] === yields.value)) {
    return b[yields.name] === yields.value
  }
  if (a[at] !== b[at]) return (a[at] as string) > (b[at] as string)
  return (a[key] as string) > (b[key] as string)
}

function mergeNamed(ours: Row, theirs: Row, slot: SlotName): void {
  const given = theirs[slot] as Record<string, NamedValue> | undefined
  if (given === undefined) return
  ours[slot] ??= Object.create(null)
  const merged = ours[slot] as Record<string, NamedValue>
  for (const [name, value] of Object.entries(given)) {
    const known = merged[name]
    if (known === undefined || value[0] > known[0]) merged[name] = value
  }
  const names = Object.keys(merged)
  if (names.length <= maxMetricNames) return
  for (const name of names.sort(compareText).slice(maxMetricNames)) delete merged[name]
}

function mergeUnion(ours: Row, theirs: Row, slot: SlotName): void {
  const a = (ours[slot] ?? []) as number[]
  const b = (theirs[slot] ?? []) as number[]
  if (b.length === 0 || (a.length === maxHashes && a.at(-1)! < b[0]!)) return
  const merged: number[] = []
  for (let i = 0, j = 0; merged.length < maxHashes && (i < a.length || j < b.length); ) {
    const next = Math.min(a[i] ?? Infinity, b[j] ?? Infinity)
    if (a[i] === next) i++
    if (b[j] === next) j++
    merged.push(next)
  }
  ours[slot] = merged
}

/** The columns that are shown, as the database generates them from the same slots. */
export function toShown(slots: Slots) {
  const { ended_at } = slots
  const spans = toSpans(slots)
  return {
    status: slots.end_status ?? (isQueued(slots) ? ('queued' as const) : ('running' as const)),
    ...spans,
    metadata: {
      ...slots.queue_metadata,
      ...slots.start_metadata,
      ...slots.progress_metadata,
      ...slots.end_metadata,
    },
    endBeforeStart: ended_at !== undefined && ended_at < spans.startedAt,
  }
}

/** It waits when it was queued after every start that is known. */
function isQueued({
  last_queued_at,
  given_started_at,
  started_event_at,
  last_started_at,
}: Slots): boolean {
  if (last_queued_at === undefined) return false
  const starts = [given_started_at, started_event_at, last_started_at]
  return starts.every((start) => start === undefined || start < last_queued_at)
}
