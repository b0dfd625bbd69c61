import { AppError } from '../core/errors.ts'
import { must } from '../core/must.ts'
import { fromMs, type Micros } from '../core/time.ts'
import { printLine } from '../platform/stdout.ts'
import { connect, type Store } from './connect.ts'
import { setHorizon } from './horizon.ts'
import { askWitnesses, judgeTime, slackMs, type Witnesses } from './trusted-time.ts'

export type HorizonOptions = {
  config: { DATABASE_URL: string; FREEZE_AFTER_HOURS: number }
  /** A person confirms the database's clock. */
  set: boolean
  json: boolean
}

/**
 * `wafermon db horizon`: shows the clocks and the horizon, after setting it when told to. Exit code 1
 * while the time is in doubt.
 *
 * @throws AppError with the remedy, when the clock of this machine contradicts what is confirmed
 */
export async function runHorizon({ config, set, json }: HorizonOptions): Promise<void> {
  const store = connect(config.DATABASE_URL, { role: 'db', max: 1, timeoutS: 60 })
  try {
    if (set) await confirm(store, config.FREEZE_AFTER_HOURS)
    const shown = await readHorizon(store)
    await printLine(json ? JSON.stringify(shown) : toText(shown))
    if (shown.doubt !== null) process.exitCode = 1
  } catch (error) {
    if (!(error instanceof AppError)) throw error
    throw new AppError(error.code, `wafermon db horizon: ${error.message}`)
  } finally {
    await store.close()
  }
}

/** The person is one witness and the clock of the machine where this runs the other. */
async function confirm(store: Store, freezeAfterHours: number): Promise<void> {
  const { databaseMs, ownMs } = await askWitnesses(store)
  if (Math.abs(databaseMs - ownMs) > slackMs) {
    throw new AppError(
      'conflict',
      `nothing was set: the database's clock says ${fromMs(databaseMs)}, the clock of this machine ${fromMs(ownMs)}; set the clock that is wrong first`,
    )
  }
  await setHorizon(store, freezeAfterHours, fromMs(databaseMs))
}

type Shown = {
  database_clock: Micros
  own_clock: Micros
  source_clock: Micros | null
  /** By the time that has passed since one that was right; null when the machine started after that. */
  expected: Micros | null
  trusted_at: Micros
  frozen_before: Micros
  open_until: Micros
  dropped_before: Micros
  doubt: string | null
}

type Row = { frozenBefore: Micros; openUntil: Micros; droppedBefore: Micros; doubt: string | null }

async function readHorizon(store: Store): Promise<Shown> {
  const witnesses = await askWitnesses(store)
  const [row] = await store.ask<Row[]>(
    { operation: 'readHorizon', table: 'horizon' },
    (sql) => sql`
      /* runHorizon.read */
      select frozen_before, open_until, dropped_before, doubt from horizon`,
  )
  const { frozenBefore, openUntil, droppedBefore, doubt } = must(row, 'the horizon is one row')
  return {
    ...clocksOf(witnesses),
    frozen_before: frozenBefore,
    open_until: openUntil,
    dropped_before: droppedBefore,
    // No role may be running that would notice.
    doubt: doubt ?? judgeTime(witnesses.boot, witnesses).doubt ?? null,
  }
}

const clocksOf = ({ databaseMs, ownMs, sourceMs, trustedMs, boot, uptimeMs }: Witnesses) => ({
  database_clock: fromMs(databaseMs),
  own_clock: fromMs(ownMs),
  source_clock: sourceMs === null ? null : fromMs(sourceMs),
  expected: boot ? fromMs(boot.ms + uptimeMs - boot.uptimeMs) : null,
  trusted_at: fromMs(trustedMs),
})

function toText(shown: Shown): string {
  const rows: [string, string][] = [
    ['database clock', shown.database_clock],
    ['this machine', shown.own_clock],
    ['nearest source', shown.source_clock ?? 'none has delivered'],
    ['by its uptime', shown.expected ?? 'not known since this machine started'],
    ['last trusted', shown.trusted_at],
    ['frozen before', shown.frozen_before],
    ['open until', shown.open_until],
    ['dropped before', shown.dropped_before === '-infinity' ? 'nothing' : shown.dropped_before],
    ['time', shown.doubt === null ? 'trusted' : `in doubt: ${shown.doubt}`],
  ]
  return rows.map(([name, value]) => `${name.padEnd(16)}${value}`).join('\n')
}
