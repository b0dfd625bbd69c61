import type { AttemptEntries } from './attempt-entry.ts'
import type { EndStatus } from './job.ts'
import { must } from './must.ts'
import type { Micros } from './time.ts'

/**
 * The slots of a job or subjob: the one table from which the fold's merge (core/fold.ts), the SQL of
 * the upsert (store/ingest-sql.ts), its parameters and the type of a row come. A new slot is a line
 * here, a column in a migration, and a line in core/event-slots.ts, which sets it from an event.
 *
 * A slot's name is the name of its column. A slot takes values in any order and any split into
 * batches: its rule is commutative and associative, and all but `sum` are idempotent.
 */
export const slots = {
  given_started_at: { type: 'timestamptz', merge: 'least' },
  started_event_at: { type: 'timestamptz', merge: 'least' },
  first_event_at: { type: 'timestamptz', merge: 'least', always: true },
  last_event_at: { type: 'timestamptz', merge: 'latest', group: 'last_event', always: true },
  last_event_key: { type: 'uuid', merge: 'latest', group: 'last_event', always: true },
  app_id: { type: 'uuid', merge: 'latest', group: 'last_event', always: true },
  app_name: { type: 'text', merge: 'latest', group: 'last_event', always: true },
  app_version: { type: 'text', merge: 'latest', group: 'last_event', always: true },
  site_id: { type: 'text', merge: 'latest', group: 'last_event', always: true },
  parent_id: { type: 'uuid', merge: 'greatest', scope: 'job' },
  job_key: { type: 'text', merge: 'greatest', scope: 'job' },
  sub_key: { type: 'text', merge: 'greatest', scope: 'job' },
  end_event_at: { type: 'timestamptz', merge: 'latest', group: 'end_event' },
  end_event_key: { type: 'uuid', merge: 'latest', group: 'end_event' },
  end_status: { type: 'text', merge: 'latest', group: 'end_event', yields: 'unknown' },
  ended_at: { type: 'timestamptz', merge: 'latest', group: 'end_event' },
  given_duration_s: { type: 'float8', merge: 'latest', group: 'end_event' },
  end_metadata: { type: 'jsonb', merge: 'latest', group: 'end_event' },
  start_meta_at: { type: 'timestamptz', merge: 'latest', group: 'start_meta' },
  start_meta_key: { type: 'uuid', merge: 'latest', group: 'start_meta' },
  start_metadata: { type: 'jsonb', merge: 'latest', group: 'start_meta' },
  progress_meta_at: { type: 'timestamptz', merge: 'latest', group: 'progress_meta' },
  progress_meta_key: { type: 'uuid', merge: 'latest', group: 'progress_meta' },
  progress_metadata: { type: 'jsonb', merge: 'latest', group: 'progress_meta' },
  progress_at: { type: 'timestamptz', merge: 'latest', group: 'progress' },
  progress_key: { type: 'uuid', merge: 'latest', group: 'progress' },
  progress: { type: 'float8', merge: 'latest', group: 'progress' },
  error_at: { type: 'timestamptz', merge: 'latest', group: 'error' },
  error_key: { type: 'uuid', merge: 'latest', group: 'error' },
  last_error: { type: 'text', merge: 'latest', group: 'error' },
  cpu_user_s: { type: 'float8', merge: 'greatest' },
  cpu_system_s: { type: 'float8', merge: 'greatest' },
  mem_max_mb: { type: 'float8', merge: 'greatest' },
  metrics: { type: 'jsonb', merge: 'latest_by_name' },
  event_count: { type: 'int', merge: 'sum', scope: 'job', always: true },
  error_count: { type: 'int', merge: 'sum', always: true },
  event_hashes: { type: 'int8[]', merge: 'union', scope: 'job' },
  last_started_at: { type: 'timestamptz', merge: 'greatest' },
  attempt: { type: 'int', merge: 'greatest', scope: 'job', always: true, rare: true },
  attempts: { type: 'jsonb', merge: 'attempts', scope: 'job', rare: true },
  queued_at: { type: 'timestamptz', merge: 'least', rare: true },
  last_queued_at: { type: 'timestamptz', merge: 'greatest', rare: true },
  queue_meta_at: { type: 'timestamptz', merge: 'latest', group: 'queue_meta', rare: true },
  queue_meta_key: { type: 'uuid', merge: 'latest', group: 'queue_meta', rare: true },
  queue_metadata: { type: 'jsonb', merge: 'latest', group: 'queue_meta', rare: true },
} as const satisfies Record<string, Slot>

/**
 * A slot as the table describes it: the type of its column, and its rule.
 *
 * - `least`, `greatest`: of the values that are present; text by code point.
 * - `sum`: of both. The fold's caller passes each event once.
 * - `latest`: all slots of the group come from the event with the greatest (`GROUP_at`, `GROUP_key`),
 *   which are slots of the group themselves. A value that this event leaves out becomes absent. An event
 *   that sets the slot of `yields` to that value is less than all that do not.
 * - `union`: the least {@link maxHashes} numbers of both, as a set: in order here, in any order in a row.
 * - `latest_by_name`: of an object of {@link NamedValue}s, `latest` name by name.
 * - `attempts`: the entries of earlier attempts (core/attempts.ts).
 *
 * A slot is of the highest attempt: its rule holds among the events of that one, and events of others do
 * not touch it. With the scope `job` it is of all attempts together.
 *
 * `always`: every event sets it, and the column is not null. Any other slot may be absent, which is null.
 * `rare`: of most jobs it has what the column has by default, and is then left out of the upsert.
 */
export type Slot = { always?: true; scope?: 'job'; rare?: true } & (
  | { type: Exclude<keyof Values, 'jsonb' | 'int8[]'>; merge: 'least' | 'greatest' }
  | { type: 'int'; merge: 'sum'; always: true }
  | { type: 'int8[]'; merge: 'union' }
  | { type: keyof Values; merge: 'latest'; group: string; yields?: string }
  | { type: 'jsonb'; merge: 'latest_by_name' }
  | { type: 'jsonb'; merge: 'attempts'; scope: 'job' }
)
export type MergeRule = Slot['merge']

type Values = {
  timestamptz: Micros
  uuid: string
  text: string
  float8: number
  int: number
  jsonb: Record<string, unknown>
  'int8[]': number[]
}

/** How many numbers a slot of the rule `union` keeps; hash_union of the migrations has the same. */
export const maxHashes = 64

/** [`at` and key of the event that gave it, as one text that sorts in their order; the value]. */
export type NamedValue = [order: string, value: number]

export type SlotName = keyof typeof slots
type AlwaysName = {
  [N in SlotName]: (typeof slots)[N] extends { always: true } ? N : never
}[SlotName]

type ValueOf<N extends SlotName> = N extends 'end_status'
  ? EndStatus
  : N extends 'attempts'
    ? AttemptEntries
    : (typeof slots)[N]['merge'] extends 'latest_by_name'
      ? Record<string, NamedValue>
      : Values[(typeof slots)[N]['type']]

/** The slots of one job or subjob: what goes into its row. */
export type Slots = { id: string } & { [N in AlwaysName]: ValueOf<N> } & {
  [N in Exclude<SlotName, AlwaysName>]?: ValueOf<N>
}

/** The table as a list, in the order of its lines. */
export const slotList = Object.entries(slots) as [SlotName, Slot][]

/** The slots of a group of the rule `latest`: the two that decide, and the others. */
export type SlotGroup = {
  at: SlotName
  key: SlotName
  values: SlotName[]
  /** The slot and its value with which an event yields to all that have another. */
  yields: { name: SlotName; value: string } | undefined
}

/** True when the events of all attempts count for a slot. */
export const isOfJob = ({ scope }: Slot): boolean => scope === 'job'

/** The groups of the rule `latest` among some slots. */
export function toGroups(list: typeof slotList): SlotGroup[] {
  const members = new Map<string, SlotName[]>()
  for (const [name, slot] of list) {
    if (slot.merge !== 'latest') continue
    members.set(slot.group, [...(members.get(slot.group) ?? []), name])
  }
  return [...members].map(([group, names]) => {
    const member = (name: string) =>
      must(
        names.find((one) => one === name),
        `the group ${group} needs a slot ${name}: it decides whose values are taken`,
      )
    const [at, key] = [member(`${group}_at`), member(`${group}_key`)]
    const values = names.filter((name) => name !== at && name !== key)
    return { at, key, values, yields: yieldsOf(values) }
  })
}

function yieldsOf(names: readonly SlotName[]): SlotGroup['yields'] {
  for (const name of names) {
    const slot: Slot = slots[name]
    if (slot.merge === 'latest' && slot.yields !== undefined) return { name, value: slot.yields }
  }
  return undefined
}
