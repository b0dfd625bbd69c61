import { AppError } from '../core/errors.ts'
import { toMs } from '../core/time.ts'
import { clock } from '../platform/clock.ts'
import { printLine } from '../platform/stdout.ts'
import { connect, type Pool } from './connect.ts'
import { type DatabaseStatus, findFaults, readStatus } from './database-status.ts'

export type StatusOptions = { config: { DATABASE_URL: string }; json: boolean }

/**
 * `wafermon db status`: shows the state of the database. Exit code 0 when all is well, 1 when something is not, with
 * a sentence on each, 2 when the database cannot be used.
 */
export async function runStatus({ config, json }: StatusOptions): Promise<void> {
  const store = connect(config.DATABASE_URL, { role: 'db', max: 1, timeoutS: 60 })
  try {
    await showStatus(store, json)
  } finally {
    await store.close()
  }
}

/** Prints the state and sets the exit code. @param more what else the answer says */
export async function showStatus(store: Pool, json: boolean, more: object = {}): Promise<void> {
  const { state, faults, status } = await judge(store)
  process.exitCode = { healthy: 0, degraded: 1, broken: 2 }[state]
  const shown = { state, faults, ...status, ...more }
  await printLine(json ? JSON.stringify(shown) : toText(state, faults, status))
}

type State = 'healthy' | 'degraded' | 'broken'
type Judged = { state: State; faults: string[]; status: DatabaseStatus | undefined }

async function judge(store: Pool): Promise<Judged> {
  try {
    const status = await readStatus(store)
    const faults = findFaults(status, clock.nowMs(), toMs(status.time.trusted_at))
    return { state: faults.length === 0 ? 'healthy' : 'degraded', faults, status }
  } catch (error) {
    if (!(error instanceof AppError)) throw error
    return { state: 'broken', faults: [error.message], status: undefined }
  }
}

function toText(state: State, faults: string[], status: DatabaseStatus | undefined): string {
  const rows: [string, string][] = [['state', state]]
  for (const fault of faults) rows.push(['', fault])
  if (status) rows.push(...describe(status))
  return rows.map(([name, value]) => `${name.padEnd(16)}${value}`).join('\n')
}

function describe(status: DatabaseStatus): [string, string][] {
  const {
    edition,
    time,
    events,
    rollups,
    served,
    connections,
    cache_hit: hit,
    sizes,
    slow,
  } = status
  const { compressed, compression_ratio: ratio } = events
  const names = Object.entries(served).flatMap(([name, yes]) => (yes ? [name] : []))
  return [
    ['server', `PostgreSQL ${status.server_version}`],
    ['edition', [edition.kind, edition.version, edition.licence].filter(Boolean).join(', ')],
    ['time', time.doubt === null ? `trusted, ${time.trusted_at}` : 'in doubt'],
    ['frozen before', time.frozen_before],
    [
      'raw events',
      `${events.partitions} partitions since ${events.oldest ?? 'never'}, ${events.late} late`,
    ],
    ...(ratio === null
      ? []
      : [
          ['compressed', `${compressed} chunks, to 1/${ratio.toFixed(1)}`] satisfies [
            string,
            string,
          ],
        ]),
    [
      'rollups',
      `${rollups.first_hour ?? 'none'} to ${rollups.last_hour ?? 'none'}, ${rollups.waiting} changes waiting`,
    ],
    ['served', names.length === 0 ? 'nothing' : names.join(', ')],
    ['archive', describeArchive(status.archive)],
    ...status.disks.map((disk): [string, string] => [`disk ${disk.disk}`, describeDisk(disk)]),
    ['connections', `${connections.used} of ${connections.max}`],
    ['cache hit', hit === null ? 'not known' : `${(100 * hit).toFixed(1)} %`],
    ...sizes
      .filter(({ bytes }) => bytes > 0)
      .map(({ table, bytes }): [string, string] => [
        '',
        `${(bytes / 1e6).toFixed(1)} MB  ${table}`,
      ]),
    ...slow.map(({ running_s: s, application, statement }): [string, string] => [
      'slow',
      `${s.toFixed(0)} s  ${application}: ${statement.replaceAll(/\s+/g, ' ').trim()}`,
    ]),
  ]
}

function describeArchive(archive: DatabaseStatus['archive']): string {
  const { files, failing_files, oldest_waiting_day, late_events_waiting, changed_jobs_waiting } =
    archive
  const waits = `${late_events_waiting} late events and ${changed_jobs_waiting} changed jobs wait`
  const day = oldest_waiting_day === null ? 'no day waits' : `waits since ${oldest_waiting_day}`
  return `${files} files, ${failing_files} failing; ${day}; ${waits}`
}

function describeDisk({ free_bytes, days_left, why }: DatabaseStatus['disks'][number]): string {
  const free = `${(free_bytes / 1e9).toFixed(1)} GB free`
  return days_left === null
    ? `${free}, days left not known (${why})`
    : `${free}, ${days_left} days left`
}
