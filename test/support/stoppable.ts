import { pino } from 'pino'
import { connect } from '../../src/store/connect.ts'
import { openLease } from '../../src/store/lease.ts'
import { locks } from '../../src/store/locks.ts'
import { runMaintenance } from '../../src/store/maintenance.ts'

/*
 * A process made to be stopped (SIGSTOP) while it holds something of the database. Its arguments are
 * the address, and what it does; it reports to its parent once it holds that.
 */

const [url = '', what] = process.argv.slice(2)
const op = { operation: 'test', table: 'none' }
const forever = new Promise<never>(() => setInterval(() => {}, 60_000))
const say = (said: object) => process.send?.(said)

if (what === 'ingest') {
  const store = connect(url, { role: 'local-api ingest', max: 1 })
  const work = store.begin(op, async (tx) => {
    await tx`select pg_advisory_xact_lock_shared(7002)`
    await tx`lock table job in row exclusive mode`
    await tx`select pg_advisory_xact_lock(7001)`
    say({ held: true })
    await new Promise((done) => process.once('message', done))
    await tx`create table written_after_the_stop ()`
  })
  await work.catch((error: Error) => say({ refused: error.message }))
} else if (what === 'maintenance') {
  const { state } = runMaintenance(url, {
    ...{ log: pino({ level: 'silent' }), signal: new AbortController().signal, silentMs: 1000 },
    ...{ freezeAfterHours: 48, liveKeepHours: 24, archive: true, retentionHours: 72, everyMs: 200 },
  })
  setInterval(() => say({ held: state().here, lastRunAt: state().lastRunAt }), 50)
} else if (what === 'archive' || what === 'migrate' || what === 'unlocked') {
  // Unlocked: its session stays open, and holds no lock while it is stopped.
  const unlocked = what === 'unlocked'
  const name = unlocked ? 'archive' : what
  const lease = openLease(url, name, { role: 'archiver', silentMs: unlocked ? 60_000 : 1000 })
  const number = await lease.hold()
  const session = async () =>
    (await lease.reader.ask(op, (sql) => sql`select pg_backend_pid() as pid`))[0]?.pid
  if (unlocked)
    await lease.reader.ask(op, (sql) => sql`select pg_advisory_unlock(${locks.archive})`)
  say({ held: number !== undefined, number, session: await session() })
  await new Promise((done) => process.once('message', done))
  if (unlocked) await lease.reader.ask(op, (sql) => sql`select pg_advisory_lock(${locks.archive})`)
  await lease.assertHeld().catch(() => {})
  const write = () => lease.store.ask(op, (sql) => sql`create table written_after_the_stop ()`)
  await write().catch(async (error: Error) => {
    say({ refused: error.message, session: await session() })
  })
}
await forever
