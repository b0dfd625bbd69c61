import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { DuckDBInstance } from '@duckdb/node-api'
import { connect, type Store } from '../src/store/connect.ts'
import { type Running, startRole, until } from '../test/support/processes.ts'
import { benchDay, fillDay } from './archive-day.ts'
import type { Bench, Context, Turn } from './frame/bench.ts'
import { folder } from './frame/context.ts'
import { cpuUs } from './frame/cpu.ts'

const op = { operation: 'bench', table: 'archive_file' }
const partition = `site=fab1/dt=${benchDay}`

/** The archiver as a process, at a day of `--day` events and a third as many jobs. */
export const archive: Bench = {
  name: 'archive',
  about:
    'CPU for each row that the archiver writes of a closed day, reads back and notes, against DuckDB writing the same rows to Parquet (zstd) from memory; its peak memory, also when it starts and when it compacts; and what a row takes',
  unit: 'us a row',
  async start(context) {
    const events = context.options.day
    const database = await context.database()
    const store = connect(database.url, { role: 'bench', max: 1 })
    context.after(() => store.close())
    context.log(`  making a day of ${events.toLocaleString('en-US')} events`)
    await fillDay(store, events)
    const dir = folder(context)
    const kept: { dir: string } = { dir }
    return {
      sides: {
        archiver: archives(context, store, database.url, kept),
        DuckDB: duckWrites(context, kept),
        idle: idles(context, store, database.url, kept),
      },
      claims: [
        { side: 'archiver', against: 'DuckDB', atMost: 1.5 },
        { side: 'archiver, peak memory', unit: 'MiB', atMost: 512 },
        { side: 'idle, peak memory', unit: 'MiB', atMost: 512 },
        { side: 'archiver, an event', unit: 'B' },
        { side: 'archiver, a job', unit: 'B' },
        { side: 'archiver, time', unit: 's' },
      ],
      facts: () => ({ database: database.server, events }),
    }
  },
}

const forget = (store: Store) =>
  store.ask(op, (sql) =>
    sql.unsafe(
      'truncate archive_file, archive_manifest, archived_job, archive_move, archive_removal, archive_intent',
    ),
  )

/** The whole day into an empty folder. Retention does not drop what was stored today. */
function archives(context: Context, store: Store, url: string, kept: { dir: string }): Turn {
  return async () => {
    await forget(store)
    kept.dir = folder(context)
    const begin = performance.now()
    const role = await startArchiver(context, url, kept.dir)
    await until('the day', async () => (await health(role)).days_archived === 1, 3_600_000)
    await until('its round', async () => (await health(role)).last_run_at !== null, 3_600_000)
    const seconds = (performance.now() - begin) / 1000
    const cpu = cpuUs(role.pid)
    const memory = peakMiB(role.pid)
    await role.stop()
    const { event, job } = await sizes(store)
    return {
      figure: cpu / (event.rows + job.rows),
      also: {
        'peak memory': memory,
        time: seconds,
        'an event': event.bytes / event.rows,
        'a job': job.bytes / job.rows,
      },
    }
  }
}

/** A round in which everything is archived already, at the start. */
function idles(context: Context, store: Store, url: string, kept: { dir: string }): Turn {
  return async () => {
    const role = await startArchiver(context, url, kept.dir)
    await until('its round', async () => (await health(role)).last_run_at !== null, 3_600_000)
    const { event, job } = await sizes(store)
    const figure = cpuUs(role.pid) / (event.rows + job.rows)
    const memory = peakMiB(role.pid)
    await role.stop()
    return { figure, also: { 'peak memory': memory } }
  }
}

/** All rows in memory, then written; only the writing counts. */
function duckWrites(context: Context, kept: { dir: string }): Turn {
  return async () => {
    const connection = await (await DuckDBInstance.create()).connect()
    const out = folder(context)
    let [cpu, rows] = [0, 0]
    for (const kind of ['event', 'job']) {
      const from = join(kept.dir, kind, partition, '*.parquet')
      await connection.run(`create table ${kind} as from read_parquet('${from}')`)
      const [[n] = []] = (
        await connection.runAndReadAll(`select count(*) from ${kind}`)
      ).getRowsJson()
      const before = process.cpuUsage()
      await connection.run(
        `copy ${kind} to '${join(out, `${kind}.parquet`)}' (format parquet, compression zstd)`,
      )
      const used = process.cpuUsage(before)
      cpu += used.user + used.system
      rows += Number(n)
      await connection.run(`drop table ${kind}`)
    }
    connection.closeSync()
    const bytes = readdirSync(out).reduce((sum, name) => sum + statSync(join(out, name)).size, 0)
    return { figure: cpu / rows, also: { 'bytes a row': bytes / rows } }
  }
}

const startArchiver = (context: Context, url: string, dir: string) =>
  startRole(context, 'archiver', { DATABASE_URL: url, ARCHIVE_DIR: dir, LOG_LEVEL: 'error' })

async function health({ url }: Running): Promise<Record<string, unknown>> {
  return (await (await fetch(`${url}/v1/healthz`)).json()) as Record<string, unknown>
}

/** The most that a process has had in memory. */
export function peakMiB(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8')
  return Number(/^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1]) / 1024
}

async function sizes(store: Store) {
  const rows = await store.ask<{ kind: string; rows: number; bytes: number }[]>(
    op,
    (sql) => sql`
      select kind, sum(rows)::int8 as rows, sum(bytes)::int8 as bytes from archive_file group by 1`,
  )
  const of = (kind: string) => rows.find((row) => row.kind === kind) ?? { rows: 0, bytes: 0 }
  return { event: of('event'), job: of('job') }
}
