import type { Micros } from '../core/time.ts'
import type { Store } from './connect.ts'
import type { TransactionSql } from './driver.ts'

/*
 * What the archiver asks. Raw events are read below the freeze horizon only, where "event" does not
 * change any more. Jobs do change there, by late events: so one kind of one hour is counted and
 * read in one snapshot.
 */

export const archiveKinds = ['event', 'job', 'subjob'] as const
export type ArchiveKind = (typeof archiveKinds)[number]

/** One site's closed hour: `from` included, `to` not. */
export type Hour = { site: string; from: Micros; to: Micros }

/** A file that was written, read back and matched. */
export type ArchivedFile = {
  kind: ArchiveKind
  path: string
  rows: number
  bytes: number
  sha256: string
  atMin: Micros
  atMax: Micros
}

const op = (operation: string, table: string) => ({ operation, table })

/** `time` is microseconds since 1970, `id` and `json` are text. */
export type ArchiveType = 'time' | 'id' | 'text' | 'json' | 'int' | 'float' | 'bool'
export type ArchiveColumn = { name: string; type: ArchiveType; sql: string }
/** Values in the order of the columns; null is null. */
export type ArchiveRow = (string | number | bigint | boolean | null)[]

type Given = [name: string, type: ArchiveType, sql?: string]

/** A column's value as the driver hands it over, with no parsing that the writer would undo. */
function column([name, type, sql = name]: Given): ArchiveColumn {
  if (type === 'time') return { name, type, sql: `(extract(epoch from ${sql}) * 1000000)::int8` }
  return { name, type, sql: type === 'id' || type === 'json' ? `(${sql})::text` : sql }
}

const knownMetric = (name: string): Given => [
  name,
  'float',
  `case jsonb_typeof(metrics -> '${name}') when 'number' then (metrics ->> '${name}')::float8 end`,
]

/*
 * The columns of the archive, in their fixed order. A later schema may add at the end; what stands
 * here keeps its name and its type for as long as files do.
 */
const eventColumns = (
  [
    ['at', 'time'],
    ['idempotency_key', 'id'],
    ['received_at', 'time'],
    ['stored_at', 'time'],
    ['entity_type', 'text', `case entity_type when 'j' then 'job' else 'subjob' end`],
    ['entity_id', 'id'],
    ['parent_id', 'id'],
    ['app_id', 'id'],
    ['app_name', 'text'],
    ['app_version', 'text'],
    ['site_id', 'text'],
    ['business_key', 'text'],
    ['sub_key', 'text'],
    ['kind', 'text'],
    ['status', 'text'],
    ['started_at', 'time'],
    ['ended_at', 'time'],
    knownMetric('duration_s'),
    knownMetric('cpu_user_s'),
    knownMetric('cpu_system_s'),
    knownMetric('mem_max_mb'),
    knownMetric('progress'),
    ['metrics', 'json'],
    ['metadata', 'json'],
    ['traceparent', 'text'],
    ['source_id', 'text'],
    ['source_epoch', 'text'],
    ['source_seq', 'int'],
    ['historical', 'bool'],
    ['extra', 'json'],
  ] satisfies Given[]
).map(column)

/** Metrics without the slots of the fold; metadata overlaid, the latest on top, as the API does. */
const jobColumns = (ids: Given[]) =>
  [
    ['ended_at', 'time'] satisfies Given,
    ...ids,
    ...([
      ['app_id', 'id'],
      ['app_name', 'text'],
      ['app_version', 'text'],
      ['site_id', 'text'],
      ['job_key', 'text'],
      ['sub_key', 'text'],
      ['status', 'text'],
      ['started_at', 'time'],
      ['duration_s', 'float'],
      ['cpu_user_s', 'float'],
      ['cpu_system_s', 'float'],
      ['mem_max_mb', 'float'],
      ['progress', 'float'],
      ['metrics', 'json', '(select jsonb_object_agg(key, value -> 1) from jsonb_each(metrics))'],
      [
        'metadata',
        'json',
        `coalesce(start_metadata, '{}') || coalesce(progress_metadata, '{}')
           || coalesce(end_metadata, '{}')`,
      ],
      ['error_count', 'int'],
      ['last_error', 'text'],
      ['last_event_at', 'time'],
      ['event_count', 'int'],
      ['inserted_at', 'time'],
      ['updated_at', 'time'],
    ] satisfies Given[]),
  ].map(column)

export const archiveColumns: Readonly<Record<ArchiveKind, readonly ArchiveColumn[]>> = {
  event: eventColumns,
  job: jobColumns([
    ['job_id', 'id'],
    ['parent_id', 'id'],
  ]),
  subjob: jobColumns([
    ['subjob_id', 'id'],
    ['job_id', 'id', 'parent_id'],
  ]),
}

/** The column that says to which hour a row belongs. */
export const timeColumn = (kind: ArchiveKind) => (kind === 'event' ? 'at' : 'ended_at')

/**
 * The closed hours in which anything happened, oldest first: those that end at or below the freeze
 * horizon. Steps from hour to hour along the index, so it costs the same whatever an hour holds.
 */
export async function closedHours(store: Store, signal?: AbortSignal): Promise<Micros[]> {
  const found = new Set<Micros>()
  for (const kind of archiveKinds) {
    for (const { hour } of await closedHoursOf(store, kind, signal)) found.add(hour)
  }
  return [...found].sort()
}

function closedHoursOf(store: Store, kind: ArchiveKind, signal: AbortSignal | undefined) {
  return store.ask<{ hour: Micros }[]>(
    op('closedHours', kind),
    (sql) => {
      const time = sql(timeColumn(kind))
      const closed = sql`${time} < (select date_trunc('hour', frozen_before, 'UTC') from horizon)`
      return sql`
        /* archive.closedHours */
        with recursive step (hour) as (
          (select date_trunc('hour', ${time}, 'UTC') from ${sql(kind)}
           where ${closed} order by ${time} limit 1)
          union all
          select (select date_trunc('hour', ${time}, 'UTC') from ${sql(kind)}
                  where ${time} >= step.hour + interval '1 hour' and ${closed}
                  order by ${time} limit 1)
          from step where step.hour is not null)
        select hour from step where hour is not null`
    },
    signal,
  )
}

export type SiteHour = Hour & {
  events: number
  jobs: number
  /** When a job or subjob that ended in the hour last changed; null when none did end. */
  changedAt: Micros | null
  /** Seconds since then, by the database's clock. */
  quietS: number | null
  /** Whether the hour's end lies so far below the horizon that waiting for quiet is over. */
  overdue: boolean
}

/** The sites that have rows in a closed hour. `overdueHours` is how long events wait for jobs. */
export async function sitesOfHour(
  store: Store,
  from: Micros,
  overdueHours: number,
  signal?: AbortSignal,
): Promise<SiteHour[]> {
  const rows = await store.ask<SiteHour[]>(
    op('sitesOfHour', 'event'),
    (sql) => {
      const hour = sql`>= ${from}::timestamptz`
      const end = sql`< ${from}::timestamptz + interval '1 hour'`
      return sql`
        /* archive.sitesOfHour */
        select site_id as site, ${from}::timestamptz as from,
          ${from}::timestamptz + interval '1 hour' as to,
          sum(events)::int8 as events, sum(jobs)::int8 as jobs, max(changed_at) as changed_at,
          extract(epoch from clock_timestamp() - max(changed_at))::float8 as quiet_s,
          (select ${from}::timestamptz + make_interval(hours => ${overdueHours + 1}) < frozen_before
           from horizon) as overdue
        from (
          select site_id, count(*) as events, 0 as jobs, null::timestamptz as changed_at
          from event where at ${hour} and at ${end} group by 1
          union all
          select site_id, 0, count(*), max(updated_at)
          from job where ended_at ${hour} and ended_at ${end} group by 1
          union all
          select site_id, 0, count(*), max(updated_at)
          from subjob where ended_at ${hour} and ended_at ${end} group by 1) found
        group by 1 order by 1`
    },
    signal,
  )
  return [...rows]
}

/** What a manifest says of the hour besides its files. */
export type HourFacts = {
  frozenBefore: Micros
  /** Raw events of the hour are gone already: what is written cannot claim to have them. */
  eventsDropped: boolean
  /** Events that came too late for the hour. They stay in "event_late" and are not archived. */
  lateEvents: number
}

export async function hourFacts(store: Store, hour: Hour): Promise<HourFacts> {
  const [row] = await store.ask<HourFacts[]>(
    op('hourFacts', 'horizon'),
    (sql) => sql`
      /* archive.hourFacts */
      select frozen_before, ${hour.from}::timestamptz < dropped_before as events_dropped,
        (select count(*) from event_late where at >= ${hour.from} and at < ${hour.to}
           and site_id = ${hour.site}) as late_events
      from horizon`,
  )
  return row!
}

/** Most rows fetched at once, and about how much text. */
const most = { rows: 10_000, characters: 8 * 2 ** 20 }

/**
 * Hands the rows of one kind of an hour to `consume`, in the order of time and in batches that stay
 * small whatever the rows hold. They come from one snapshot, and `count` says how many they are.
 *
 * @throws what `consume` throws, or what became of the connection; `consume` has ended then
 */
export async function readHour<T>(
  store: Store,
  kind: ArchiveKind,
  hour: Hour,
  consume: (batches: AsyncGenerator<ArchiveRow[]>, count: number) => Promise<T>,
): Promise<T> {
  const state: { lost: boolean; work?: Promise<T> } = { lost: false }
  try {
    return await store.begin(op('readHour', kind), async (tx) => {
      await tx`/* archive.snapshot */ set transaction isolation level repeatable read, read only`
      const count = await countRows(tx, kind, hour)
      state.work = consume(fetchRows(tx, kind, hour, state), count)
      return settledUnlessLost(state.work, state)
    })
  } catch (error) {
    state.lost = true
    await state.work?.catch(() => {})
    throw error
  }
}

/**
 * When a connection is lost between two statements, the driver (3.4.9) rejects the transaction and
 * lets its work go on. Whatever that does then, a statement or the commit or rollback at its end,
 * is written to a socket that is gone and ends the process. So work whose connection is lost sends
 * nothing more and never settles.
 */
function settledUnlessLost<T>(work: Promise<T>, state: { lost: boolean }): Promise<T> {
  return new Promise((resolve, reject) => {
    // A turn later, for the loss is heard of in the turn in which a statement fails by it.
    const unlessLost = (settle: () => void) => setImmediate(() => state.lost || settle())
    work.then(
      (value) => unlessLost(() => resolve(value)),
      (error: unknown) => unlessLost(() => reject(error)),
    )
  })
}

const within = (kind: ArchiveKind) =>
  `from ${kind} where ${timeColumn(kind)} >= $1 and ${timeColumn(kind)} < $2 and site_id = $3`

async function countRows(tx: TransactionSql, kind: ArchiveKind, { from, to, site }: Hour) {
  const [row] = await tx.unsafe(
    `/* archive.countHour */ select count(*)::int8 as n ${within(kind)}`,
    [from, to, site],
  )
  return Number(row?.n)
}

async function* fetchRows(
  tx: TransactionSql,
  kind: ArchiveKind,
  { from, to, site }: Hour,
  state: { lost: boolean },
) {
  const id = kind === 'event' ? 'idempotency_key' : `${kind}_id`
  const selected = archiveColumns[kind].map(({ name, sql }) => `${sql} as "${name}"`).join(', ')
  // The time in the result has its name too, hence the table's in front.
  await tx.unsafe(
    `/* archive.readHour */ declare hour_rows no scroll cursor for
     select ${selected} ${within(kind)} order by ${kind}.${timeColumn(kind)}, ${kind}.${id}`,
    [from, to, site],
  )
  for (let size = 500; ; ) {
    if (state.lost) throw new Error('the connection to the database was lost')
    const rows = (await tx
      .unsafe(`/* archive.fetch */ fetch forward ${size} from hour_rows`)
      .values()) as unknown as ArchiveRow[]
    if (rows.length > 0) yield [...rows]
    if (rows.length < size) break
    size = nextSize(rows)
  }
}

/** As many rows as make the most text, judged by those that came; at most twice as many as before. */
function nextSize(rows: readonly ArchiveRow[]): number {
  let characters = 0
  for (const row of rows) {
    for (const value of row) characters += typeof value === 'string' ? value.length : 8
  }
  const fitting = Math.floor((most.characters * rows.length) / Math.max(1, characters))
  return Math.max(50, Math.min(most.rows, rows.length * 2, fitting))
}

/** Notes the files of an hour, once its manifest is on disk. Doing it again changes nothing. */
export async function noteArchived(store: Store, hour: Hour, files: readonly ArchivedFile[]) {
  await store.begin(op('noteArchived', 'archive_file'), async (tx) => {
    for (const file of files) {
      await tx`
        /* archive.note */
        insert into archive_file (kind, site_id, hour, path, rows, bytes, sha256, at_min, at_max)
        values (${file.kind}, ${hour.site}, ${hour.from}, ${file.path}, ${file.rows}, ${file.bytes},
          ${file.sha256}, ${file.atMin}, ${file.atMax})
        on conflict (kind, site_id, hour, path) do nothing`
    }
  })
}

/** Paths of the hour's files that the database has on record. */
export async function notedFiles(store: Store, hour: Hour): Promise<string[]> {
  const rows = await store.ask<{ path: string }[]>(
    op('notedFiles', 'archive_file'),
    (sql) => sql`
      /* archive.noted */
      select path from archive_file where site_id = ${hour.site} and hour = ${hour.from}
      order by path`,
  )
  return rows.map(({ path }) => path)
}

/** A site of which something was archived, the last one by name; undefined when nothing was. */
export async function notedSite(store: Store): Promise<string | undefined> {
  const [row] = await store.ask<{ siteId: string }[]>(
    op('notedSite', 'archive_file'),
    (sql) => sql`
      /* archive.notedSite */
      select site_id from archive_file order by kind desc, site_id desc limit 1`,
  )
  return row?.siteId
}
