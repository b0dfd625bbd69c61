import type { Logger } from 'pino'
import { sleep } from '../../platform/backoff.ts'
import { clock } from '../../platform/clock.ts'
import type { ChildSpec } from '../../platform/supervised-child.ts'
import type { Supervisor } from '../../platform/supervisor.ts'
import { connect } from '../../store/connect.ts'
import { setHorizon } from '../../store/horizon.ts'
import { askSidecar } from '../../tools/sidecar.ts'
import { sendHistory } from '../../tools/simulate/history.ts'
import { jobsPerMinute, type UpLayout } from './children.ts'

/*
 * The first start in a new folder, with the simulated fab: so that every chart, the usual times and
 * the archive have something to show, the fab gets a past, through the sidecar like all events.
 *
 * - Only a folder without a database, a spool and an archive is given one.
 * - One hour lies so far back that its day is closed, and its events frozen, when the roles start: the
 *   archiver writes it in its first round. For its events to be stored, the horizon is lowered before
 *   anything else is stored, and the local API starts once more with the operator's own settings.
 * - The last 24 hours come while everything runs.
 */

const seed = 1
const hourMs = 3_600_000
/** Hours below the freeze horizon from which the events of an hour no longer wait for the jobs of its day: half a day after its end. */
const frozenHours = 12 + 24 + 2
/** Longest that a start waits for the closed hour, in milliseconds: it is only an example. */
const patienceMs = 20_000

type Context = { layout: UpLayout; log: Logger; signal: AbortSignal }
type Roles = { supervisor: Supervisor; localApi: ChildSpec; sidecar: ChildSpec }

/**
 * Fills an hour that is closed by now. The sidecar runs afterwards, the local API does not.
 *
 * @throws Error when a role cannot be started
 */
export async function fillClosedHour(
  { supervisor, localApi, sidecar }: Roles,
  { layout, log, signal }: Context,
): Promise<void> {
  const freezeHours = Number(layout.env.FREEZE_AFTER_HOURS) || 48
  const lowered = freezeHours + frozenHours + 24
  const store = connect(layout.databaseUrl, { role: 'first start', max: 1 })
  await setHorizon(store, lowered, clock.now()).finally(() => store.close())
  signal.throwIfAborted()
  const hours = String(lowered)
  const env = { ...localApi.env, FREEZE_AFTER_HOURS: hours, RETENTION_HOURS: hours }
  await Promise.all([supervisor.start({ ...localApi, env }), supervisor.start(sidecar)])
  const backMs = (freezeHours + frozenHours) * hourMs
  const fromMs = Math.floor((clock.nowMs() - backMs) / hourMs) * hourMs
  const span = { fromMs, toMs: fromMs + hourMs, detailsFromMs: fromMs + 0.9 * hourMs }
  const inTime = AbortSignal.any([signal, AbortSignal.timeout(patienceMs)])
  await sendHistory({ ...fabOf(layout), ...span, firstLot: 2400 }, inTime)
  await delivered(layout, inTime)
  if (inTime.aborted && !signal.aborted) log.warn('the simulated past has no closed hour')
  await supervisor.stop('local-api', patienceMs)
}

/** Fills the last 24 hours. Never rejects: without them, the fab merely has a shorter past. */
export async function fillLastDay({ layout, log, signal }: Context): Promise<void> {
  const toMs = clock.nowMs()
  const from = performance.now()
  const span = { fromMs: toMs - 24 * hourMs, toMs, detailsFromMs: toMs - hourMs / 3 }
  try {
    const events = await sendHistory({ ...fabOf(layout), ...span, firstLot: 2700 }, signal)
    await delivered(layout, signal)
    const seconds = Math.round((performance.now() - from) / 1000)
    if (!signal.aborted) log.info({ events, seconds }, 'the last 24 hours are simulated')
  } catch (error) {
    log.warn({ error }, 'the last 24 hours could not be simulated')
  }
}

const fabOf = (layout: UpLayout) => ({
  sidecar: sidecarOf(layout),
  siteId: layout.site,
  seed,
  jobsPerMinute,
})

const sidecarOf = ({ ports, tokens }: UpLayout) => ({
  url: `http://127.0.0.1:${ports.sidecar}`,
  token: tokens.token,
})

/** Waits until the sidecar has handed on everything. */
async function delivered(layout: UpLayout, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    const health = (await askSidecar(sidecarOf(layout), '/v1/healthz', {
      good: [200, 503],
    }).catch(() => ({}))) as { spool_count?: number }
    if (health.spool_count === 0) return
    await sleep(100, signal)
  }
}
