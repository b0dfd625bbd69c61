import { must } from '../core/must.ts'
import { fromMs, type Micros, toMs } from '../core/time.ts'
import { clock } from '../platform/clock.ts'
import type { Store } from './connect.ts'

/*
 * The time that maintenance goes by. Invariants:
 *
 * - It is the database's clock, and moves by no more than the time that passed on this machine since it
 *   started, plus slack. A clock that is set moves nothing. The first time that was found right is kept
 *   for each start of a machine (boot_time), so that a process knows what passed while none ran.
 * - Things are deleted only while another witness agrees with the database's clock: the clock of this
 *   machine, or what the newest source says when it delivers.
 * - After another start of the machine what has passed is not known, and needs witnesses: one for a
 *   week, both for more. After a step that was noticed no witness is enough: on one machine all are set
 *   together.
 * - A step that was noticed needs a person (`wafermon db horizon --set`), also when the clock is right
 *   again: whoever set it may do so once more. Meanwhile the horizon moves on, so that no event of now
 *   goes late; any other doubt ends when the clocks agree.
 */

/** By how much clocks may differ, and the time be off, in milliseconds. */
export const slackMs = 3_600_000
/** How long nothing may have run before two other witnesses are needed, in milliseconds. */
const longAwayMs = 7 * 24 * 3_600_000

/** All in milliseconds since 1970, but for the uptime of this machine, in milliseconds. */
export type Witnesses = {
  databaseMs: number
  ownMs: number
  /** When the source whose clock is nearest to the database's last took an event; null without sources. */
  sourceMs: number | null
  /** The time that maintenance last went by, whichever process did. */
  trustedMs: number
  uptimeMs: number
  /** A time that was right since this machine started, and since a person last confirmed the clock. */
  boot: Base | undefined
  /** How often a person has confirmed the database's clock. */
  confirmed: number
  /** An earlier process noticed that the database's clock was set, and nothing has ended that doubt. */
  stepped: boolean
}

/** A time that was right, when this machine had been up for so long. */
export type Base = { ms: number; uptimeMs: number }

/**
 * `ms`: the time to go by; undefined when there is none. `doubt`: why nothing may be deleted. `stepped`:
 * the database's clock was set, and no person has confirmed it since.
 */
export type Verdict = { ms: number | undefined; doubt: string | undefined; stepped: boolean }

/**
 * Judges the database's clock.
 *
 * @param base undefined until a time was found right since the machine started
 */
export function judgeTime(base: Base | undefined, witnesses: Witnesses): Verdict {
  const expectedMs = base && base.ms + witnesses.uptimeMs - base.uptimeMs
  // Without a base, a step that was noticed is measured from the time before it.
  const from = expectedMs ?? (witnesses.stepped ? witnesses.trustedMs : undefined)
  const step = from === undefined ? undefined : doubtStep(from, witnesses)
  const wrong = step ?? doubtAlone(witnesses) ?? (base ? undefined : doubtAway(witnesses))
  const ms = wrong === undefined ? witnesses.databaseMs : expectedMs
  const stepped = step !== undefined || witnesses.stepped
  return { ms, doubt: wrong ?? (stepped ? wasSet : undefined), stepped }
}

const remedy = 'set the clock that is wrong, then run wafermon db horizon --set'

const wasSet =
  "the database's clock was set and is right again; make sure that it stays so, then run wafermon db horizon --set"

function doubtStep(expectedMs: number, { databaseMs }: Witnesses): string | undefined {
  const awayMs = databaseMs - expectedMs
  if (Math.abs(awayMs) <= slackMs) return undefined
  const way = awayMs > 0 ? 'forward' : 'back'
  return `the database's clock was set ${way} by ${spanText(awayMs)}, to ${fromMs(databaseMs)}; ${remedy}`
}

function doubtAway(witnesses: Witnesses): string | undefined {
  const { databaseMs, trustedMs, ownMs, sourceMs } = witnesses
  const awayMs = databaseMs - trustedMs
  const says = `the database's clock says ${fromMs(databaseMs)}`
  if (awayMs < -slackMs) {
    return `${says}, which is ${spanText(awayMs)} before the last maintenance; ${remedy}`
  }
  if (awayMs <= longAwayMs || (agrees(ownMs, witnesses) && agrees(sourceMs, witnesses))) {
    return undefined
  }
  return `${says}, which is ${spanText(awayMs)} after the last maintenance, and no source has confirmed that; ${remedy}`
}

function doubtAlone(witnesses: Witnesses): string | undefined {
  const { databaseMs, ownMs, sourceMs } = witnesses
  if (agrees(ownMs, witnesses) || agrees(sourceMs, witnesses)) return undefined
  return `the database's clock says ${fromMs(databaseMs)}, the clock of this machine ${fromMs(ownMs)}, and no source agrees with the database; set the clock that is wrong, and maintenance continues`
}

const agrees = (ms: number | null, { databaseMs }: Witnesses) =>
  ms !== null && Math.abs(ms - databaseMs) <= slackMs

function spanText(ms: number): string {
  const hours = Math.abs(ms) / 3_600_000
  return hours < 48 ? `${hours.toFixed(1)} hours` : `${(hours / 24).toFixed(1)} days`
}

/** The time to go by, and why nothing may be deleted; see {@link Verdict}. */
export type TrustedTime = { at: Micros | undefined } & Pick<Verdict, 'doubt' | 'stepped'> &
  Pick<Witnesses, 'confirmed'>

/** Follows the time for as long as a process runs. */
export class TimeWatch {
  #base: Base | undefined
  #confirmed: number | undefined

  /** Asks the witnesses, and keeps the first time that was right. Errors as `Store.ask`. */
  async look(store: Store): Promise<TrustedTime> {
    const witnesses = await askWitnesses(store)
    const { databaseMs, uptimeMs, boot, confirmed } = witnesses
    const now = { ms: databaseMs, uptimeMs }
    if (this.#confirmed !== undefined && confirmed !== this.#confirmed) this.#base = now
    this.#confirmed = confirmed
    this.#base ??= boot
    const { ms, doubt, stepped } = judgeTime(this.#base, witnesses)
    if (doubt === undefined) this.#base ??= now
    if (this.#base && !boot) await keepBase(store, this.#base, confirmed)
    return { at: ms === undefined ? undefined : fromMs(ms), doubt, stepped, confirmed }
  }
}

/** Starts of machines that are remembered; those of one machine, or of some that come and go. */
const maxBoots = 100

/** One that is there stays, unless a person has confirmed the clock since. */
async function keepBase(store: Store, { ms, uptimeMs }: Base, confirmed: number): Promise<void> {
  const boot = clock.boot()
  if (boot === undefined) return
  await store.ask(
    { operation: 'keepBase', table: 'boot_time' },
    (sql) => sql`
      /* trustedTime.keepBase */
      with kept as (
        insert into boot_time (boot, trusted_at, uptime_ms, confirmed)
        values (${boot}, ${fromMs(ms)}, ${Math.round(uptimeMs)}, ${confirmed})
        on conflict (boot) do update set trusted_at = excluded.trusted_at,
          uptime_ms = excluded.uptime_ms, confirmed = excluded.confirmed
        where boot_time.confirmed < excluded.confirmed)
      delete from boot_time where boot in (
        select boot from boot_time order by trusted_at desc offset ${maxBoots - 1})`,
  )
}

type Row = {
  database: Micros
  trusted: Micros
  source: Micros | null
  confirmed: number
  stepped: boolean
  bootAt: Micros | null
  bootUptimeMs: number | null
}

/** What each of the witnesses says now. Errors as `Store.ask`. */
export async function askWitnesses(store: Store): Promise<Witnesses> {
  const [row] = await store.ask<Row[]>(
    { operation: 'askWitnesses', table: 'horizon' },
    (sql) => sql`
      /* trustedTime.witnesses */
      select clock_timestamp() as database, h.trusted_at as trusted, h.confirmed, h.stepped,
        (select last_received_at from source
         order by abs(extract(epoch from last_received_at - clock_timestamp())) limit 1) as source,
        b.trusted_at as boot_at, b.uptime_ms as boot_uptime_ms
      from horizon h left join boot_time b
        on b.boot = ${clock.boot() ?? null} and b.confirmed = h.confirmed`,
  )
  const found = must(row, 'the horizon is one row')
  const { database, trusted, source, confirmed, stepped, bootAt, bootUptimeMs } = found
  return {
    databaseMs: toMs(database),
    ownMs: clock.nowMs(),
    sourceMs: source === null ? null : toMs(source),
    trustedMs: toMs(trusted),
    uptimeMs: clock.uptimeMs(),
    boot: bootAt === null ? undefined : { ms: toMs(bootAt), uptimeMs: bootUptimeMs ?? 0 },
    confirmed,
    stepped,
  }
}

/** Why nothing may be archived or deleted, as the process that does maintenance found. */
export async function readDoubt(store: Store): Promise<string | undefined> {
  const [row] = await store.ask<{ doubt: string | null }[]>(
    { operation: 'readDoubt', table: 'horizon' },
    (sql) => sql`/* trustedTime.doubt */ select doubt from horizon`,
  )
  return must(row, 'the horizon is one row').doubt ?? undefined
}
