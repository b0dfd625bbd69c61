import { AppError } from '../core/errors.ts'
import { must } from '../core/must.ts'
import type { Micros } from '../core/time.ts'
import { readFailing, sampleState } from './archive/checks.ts'
import { dueDays } from './archive/days.ts'
import type { Pool, Sql } from './connect.ts'
import { type DiskTrend, readTrends, roomFaults } from './disk-room.ts'
import { type Edition, readEdition } from './edition.ts'
import { locks } from './locks.ts'
import { pendingMigrations } from './migrate.ts'

/** The state of a database, for `wafermon db status`. Names are those of its JSON. */
export type DatabaseStatus = {
  edition: Edition
  server_version: string
  time: { trusted_at: Micros; frozen_before: Micros; dropped_before: Micros; doubt: string | null }
  /** Days (plain) or chunks (TimescaleDB) of raw events. */
  events: {
    partitions: number
    oldest: Micros | null
    compressed: number
    /** Bytes before compression by bytes after; null where nothing is compressed. */
    compression_ratio: number | null
    /** Late ones that wait for the archive. */
    late: number
  }
  rollups: {
    /** Transactions whose hours have not been made again. */
    waiting: number
    stale: number
    first_hour: Micros | null
    last_hour: Micros | null
  }
  /** Whether a local API holds the lease of each. */
  served: { maintenance: boolean; rollups: boolean; archive: boolean }
  archive: ArchiveStatus
  /** The disks of archive and database, where they were measured in the last day. */
  disks: DiskTrend[]
  connections: { used: number; max: number }
  /** Share of pages that were in memory, since the statistics began; null without any. */
  cache_hit: number | null
  /** The largest tables, with their indexes, partitions together. */
  sizes: { table: string; bytes: number }[]
  /** Statements that have run for over five seconds. */
  slow: { running_s: number; application: string; statement: string }[]
}

const op = { operation: 'status', table: 'none' }

/** @throws AppError unreachable or conflict, when the database cannot be used */
export async function readStatus(store: Pool): Promise<DatabaseStatus> {
  const status = await readDatabase(store)
  return { ...status, archive: await readArchive(store), disks: await readTrends(store) }
}

function readDatabase(store: Pool): Promise<Omit<DatabaseStatus, 'archive' | 'disks'>> {
  return store.run(op, async (sql) => {
    const edition = await readEdition(sql)
    const missing = await pendingMigrations(sql)
    if (missing.length > 0) {
      throw new AppError(
        'conflict',
        `the database lacks ${missing.join(', ')}; run wafermon migrate`,
      )
    }
    const isTimescale = edition.kind === 'timescale'
    return {
      edition,
      ...(await readServer(sql)),
      time: await readTime(sql),
      events: {
        ...(await readPartitions(sql, isTimescale)),
        ...(await readCompression(sql, edition)),
      },
      rollups: await readRollups(sql),
      served: await readLeases(sql),
      sizes: await readSizes(sql, isTimescale),
      slow: await readSlow(sql),
    }
  })
}

async function one<T extends object>(rows: Promise<readonly T[]>): Promise<T> {
  return must((await rows)[0], 'a select of one row answers it')
}

async function readServer(sql: Sql) {
  const row = await one(
    sql<{ version: string; used: number; max: number; hit: number | null }[]>`
      /* status.server */
      select current_setting('server_version') as version,
        (select count(*)::int from pg_stat_activity where backend_type = 'client backend') as used,
        current_setting('max_connections')::int as max,
        (select blks_hit::float8 / nullif(blks_hit + blks_read, 0) from pg_stat_database
          where datname = current_database()) as hit`,
  )
  const { version, used, max, hit } = row
  return { server_version: version, connections: { used, max }, cache_hit: hit }
}

async function readTime(sql: Sql): Promise<DatabaseStatus['time']> {
  const row = await one(
    sql<{ trustedAt: Micros; frozenBefore: Micros; droppedBefore: Micros; doubt: string | null }[]>`
      /* status.time */ select trusted_at, frozen_before, dropped_before, doubt from horizon`,
  )
  const { trustedAt, frozenBefore, droppedBefore, doubt } = row
  return {
    trusted_at: trustedAt,
    frozen_before: frozenBefore,
    dropped_before: droppedBefore,
    doubt,
  }
}

async function readPartitions(sql: Sql, isTimescale: boolean) {
  const parts = isTimescale
    ? sql`
      select range_start as at from timescaledb_information.chunks
      where hypertable_schema = current_schema() and hypertable_name = 'event'`
    : sql`
      select to_date(substring(c.relname from '[0-9]{8}$'), 'YYYYMMDD')::timestamptz as at
      from pg_inherits i join pg_class c on c.oid = i.inhrelid where i.inhparent = 'event'::regclass`
  return one(
    sql<{ partitions: number; oldest: Micros | null; late: number }[]>`
      /* status.partitions */
      select count(*)::int as partitions, min(at) as oldest,
        (select count(*) from event_late where restored_until is null)::int as late
      from (${parts}) parts`,
  )
}

async function readCompression(sql: Sql, { licence }: Edition) {
  if (licence !== 'tsl') return { compressed: 0, compression_ratio: null }
  const { n, ratio } = await one(
    sql<{ n: number; ratio: number | null }[]>`
      /* status.compression */
      select count(*)::int as n,
        sum(before_compression_total_bytes)::float8 / nullif(sum(after_compression_total_bytes), 0)::float8 as ratio
      from chunk_compression_stats('event') where compression_status = 'Compressed'`,
  )
  return { compressed: n, compression_ratio: ratio }
}

async function readRollups(sql: Sql): Promise<DatabaseStatus['rollups']> {
  const row = await one(
    sql<{ waiting: number; stale: number; first: Micros | null; last: Micros | null }[]>`
      /* status.rollups */
      select (select count(*) from rollup_due)::int as waiting,
        (select count(*) from rollup_stale)::int as stale,
        (select min(bucket) from job_stats_hourly) as first, (select max(bucket) from job_stats_hourly) as last`,
  )
  const { waiting, stale, first, last } = row
  return { waiting, stale, first_hour: first, last_hour: last }
}

async function readLeases(sql: Sql): Promise<DatabaseStatus['served']> {
  const held = (key: number) => sql`
    exists (select from pg_locks where locktype = 'advisory' and objid = ${key} and classid = 0 and granted
      and database = (select oid from pg_database where datname = current_database()))`
  return one(
    sql<DatabaseStatus['served'][]>`
      /* status.leases */
      select ${held(locks.maintenance)} as maintenance, ${held(locks.rollups)} as rollups,
        ${held(locks.archive)} as archive`,
  )
}

/** What the archive lacks, and what is wrong with it as far as the database knows. */
export type ArchiveStatus = {
  /** Archived files on record. */
  files: number
  /** Of them, those that did not read back when they were last read. */
  failing_files: number
  /** The oldest closed day that is not archived, and how long it has been frozen. */
  oldest_waiting_day: string | null
  waiting_s: number
  late_events_waiting: number
  changed_jobs_waiting: number
}

async function readArchive(store: Pool): Promise<ArchiveStatus> {
  const days = await dueDays(store)
  const oldest = days.find(({ archived }) => !archived)
  const sum = (what: 'late' | 'changed') => days.reduce((n, day) => n + day[what], 0)
  const { files } = await sampleState(store)
  return {
    ...{ files, failing_files: (await readFailing(store, 1)).count },
    oldest_waiting_day: oldest?.from.slice(0, 10) ?? null,
    waiting_s: Math.round(oldest?.frozenS ?? 0),
    ...{ late_events_waiting: sum('late'), changed_jobs_waiting: sum('changed') },
  }
}

/** Partitions and chunks count for their table. */
async function readSizes(sql: Sql, isTimescale: boolean): Promise<DatabaseStatus['sizes']> {
  const bytes = isTimescale
    ? sql`case when exists (select from timescaledb_information.hypertables h
        where h.hypertable_schema = current_schema() and h.hypertable_name = c.relname)
        then hypertable_size(c.oid::regclass) else pg_total_relation_size(c.oid) end`
    : sql`coalesce((select sum(pg_total_relation_size(relid)) from pg_partition_tree(c.oid)),
        pg_total_relation_size(c.oid))`
  const rows = await sql<{ table: string; bytes: number }[]>`
    /* status.sizes */
    select relname as table, (${bytes})::int8 as bytes from pg_class c
    where relkind in ('r', 'p') and not relispartition and relnamespace = current_schema()::regnamespace
    order by 2 desc limit 12`
  return [...rows]
}

async function readSlow(sql: Sql): Promise<DatabaseStatus['slow']> {
  const rows = await sql<{ runningS: number; application: string; statement: string }[]>`
    /* status.slow */
    select extract(epoch from clock_timestamp() - query_start)::float8 as running_s,
      application_name as application, left(query, 200) as statement
    from pg_stat_activity
    where datname = current_database() and state = 'active' and pid <> pg_backend_pid()
      and backend_type = 'client backend' and query_start < clock_timestamp() - interval '5 seconds'
    order by query_start limit 10`
  return rows.map(({ runningS, application, statement }) => ({
    running_s: runningS,
    application,
    statement,
  }))
}

/** More notes than this are hours of a busy site: nobody makes rollups. */
const mostWaiting = 50_000
/** The horizon moves once a minute. */
const longestStandMs = 600_000

/** A day is archived half a day after it was frozen, whatever its jobs do. */
const longestWaitS = 24 * 3600

/** What is not as it should be: a sentence each, with the remedy. */
export function findFaults(status: DatabaseStatus, nowMs: number, trustedMs: number): string[] {
  const { time, rollups, served, connections, slow, archive, disks } = status
  const faults: string[] = []
  if (time.doubt !== null)
    faults.push(`the time is in doubt: ${time.doubt}; see wafermon db horizon`)
  else if (nowMs - trustedMs > longestStandMs) {
    faults.push(
      `the freeze horizon has not moved since ${time.trusted_at}; is a local API running?`,
    )
  }
  if (!served.maintenance) faults.push('nobody does maintenance; start a local API')
  if (!served.rollups) faults.push('nobody makes rollups; start a local API')
  if (rollups.waiting > mostWaiting) {
    faults.push(`${rollups.waiting} changes wait for the rollups; look at the log of the local API`)
  }
  if (connections.used > 0.9 * connections.max) {
    faults.push(
      `${connections.used} of ${connections.max} connections are used; raise max_connections or lower DB_POOL_MAX_SIZE`,
    )
  }
  if (archive.files > 0 && archive.waiting_s > longestWaitS) {
    faults.push(
      `${archive.oldest_waiting_day} is not archived; is an archiver running? Its health says why`,
    )
  }
  if (archive.failing_files > 0) {
    faults.push(
      `archived files do not read back: ${archive.failing_files}; restore them from a copy (wafermon archive verify --deep names them)`,
    )
  }
  faults.push(...roomFaults(disks))
  if (slow.length > 0) faults.push(`statements have run for over 5 s: ${slow.length}`)
  return faults
}
