import { uuidV5 } from '../../core/uuid.ts'
import { type App, cancelReasons, type ErrorText } from './fab.ts'
import { type Lot, lotPool, type Operation } from './lots.ts'
import { type Dice, diceFrom } from './random.ts'
import { breakdownText, type Down, filled, outageText, troubles } from './troubles.ts'

export type Outcome = 'succeeded' | 'failed' | 'canceled' | 'silent'

/** A job of the simulated fab, from its first event to its last. Times in ms from the start. */
export type PlannedJob = {
  id: string
  /** Start of the wait of its lot. */
  readyMs: number
  atMs: number
  durationMs: number
  app: App
  lot: string
  tool: string
  metadata: Record<string, unknown>
  /** `silent`: the tool went down and the job reports nothing more. */
  outcome: Outcome
  /** Of a job that failed. */
  error: ErrorText | undefined
  /** Of a job that was canceled. */
  reason: string | undefined
  cpuUserS: number
  memMb: number
  parts: PlannedPart[]
}

/** A wafer, or a step of a batch tool. */
export type PlannedPart = {
  id: string
  key: string
  atMs: number
  durationMs: number
  outcome: Outcome
  metrics: Record<string, number>
}

export type PlanOptions = {
  seed: number
  /** When the fab starts, in ms since 1970: part of every id, so that each start has new jobs. */
  startMs: number
  /** Jobs that start per minute, on average. */
  jobsPerMinute: number
  /** Number of the first lot: a fab of another time has other lots. */
  firstLot?: number
  /** Jobs that start earlier, in ms from the start, are planned without their parts. */
  partsFromMs?: number
}

/** Lots in the fab for each job a minute: the minutes that a lot waits, about. */
const lotsPerRate = 3
const fewestLots = 40
/** A lot that waits longer begins late. */
const queueLimitMs = 12 * 60_000
const hotLimitMs = 4 * 60_000

type Fab = {
  dice: Dice
  lots: ReturnType<typeof lotPool>
  down: ReturnType<typeof troubles>
  startMs: number
  partsFromMs: number
}

/**
 * The jobs of the fab in the order in which they start, without end. The same options give the same
 * jobs, event for event.
 */
export function* planJobs(options: PlanOptions): Generator<PlannedJob> {
  const { seed, startMs, jobsPerMinute, firstLot, partsFromMs = 0 } = options
  const dice = diceFrom(seed)
  const size = Math.ceil(Math.max(fewestLots, jobsPerMinute * lotsPerRate))
  const lots = lotPool(dice, size, firstLot)
  const fab = { dice, lots, down: troubles(dice), startMs, partsFromMs }
  let atMs = 0
  for (let n = 1; ; ) {
    atMs += dice.exponential(60_000 / jobsPerMinute)
    const lot = lots.next(atMs)
    if (lot) yield planJob(fab, lot, atMs, `${seed}\n${startMs}\n${n++}`)
  }
}

function planJob(fab: Fab, lot: Lot, atMs: number, ids: string): PlannedJob {
  const { dice, lots, partsFromMs } = fab
  const { key, wafers, readyMs } = lot
  const operation = lot.ahead[0]!
  const { app, tool } = operation
  const fate = fateOf(fab, operation, atMs)
  const { outcome, durationMs, error } = fate
  const metadata = metadataOf(fab, lot, operation)
  const endMs = atMs + durationMs
  lots.done(lot, outcome === 'succeeded', endMs + pauseMs(dice, outcome))
  return {
    ...{ id: uuidV5(ids), readyMs, atMs, durationMs, app, lot: key, tool, metadata },
    ...{ outcome, error, reason: outcome === 'canceled' ? fate.reason : undefined },
    cpuUserS: (durationMs / 1000) * app.cpu * dice.between(0.7, 1.3),
    memMb: app.memMb * dice.between(0.8, 1.3) * (dice.chance(0.002) ? 6 : 1),
    parts:
      atMs < partsFromMs ? [] : planParts(dice, ids, { app, atMs, durationMs, outcome, wafers }),
  }
}

type Fate = {
  outcome: Outcome
  durationMs: number
  error?: ErrorText | undefined
  reason?: string | undefined
}

function fateOf({ dice, down }: Fab, { app, tool }: Operation, atMs: number): Fate {
  const durationMs = Math.max(500, dice.lognormal(app.medianS * 1000, app.sigma))
  if (down.ofServer(app, atMs)) {
    return { outcome: 'failed', durationMs: dice.between(5000, 6000), error: outageText(app) }
  }
  const breakdown = down.ofTool(tool, atMs)
  if (atMs + durationMs > breakdown.from && atMs < breakdown.to) {
    return brokenDown(dice, tool, breakdown, atMs)
  }
  if (dice.chance(app.failure)) {
    return { outcome: 'failed', durationMs, error: filled(dice, dice.pick(app.errors)) }
  }
  return unhurt(dice, app, durationMs)
}

/** A job on a tool that is down fails soon; a tool that goes down takes its job along. */
function brokenDown(dice: Dice, tool: string, down: Down, atMs: number): Fate {
  const foundMs = dice.between(2000, 8000)
  const durationMs = Math.max(0, down.from - atMs) + foundMs
  if (atMs < down.from && dice.chance(0.3)) return { outcome: 'silent', durationMs }
  return { outcome: 'failed', durationMs, error: breakdownText(dice, tool, down) }
}

/** Most succeed; a few are canceled, and now and then one hangs until the operator cancels it. */
function unhurt(dice: Dice, app: App, durationMs: number): Fate {
  if (!app.parts && dice.chance(0.004)) {
    const hungMs = dice.between(14, 25) * 60_000
    return { outcome: 'canceled', durationMs: hungMs, reason: 'hung, stopped by the operator' }
  }
  if (!dice.chance(0.012)) return { outcome: 'succeeded', durationMs }
  return { outcome: 'canceled', durationMs, reason: dice.pick(cancelReasons) }
}

/** Time until the lot can be processed again: none, or until the operator has checked it. */
function pauseMs(dice: Dice, outcome: Outcome): number {
  if (outcome === 'succeeded') return 0
  return dice.exponential(outcome === 'failed' ? 120_000 : 180_000)
}

function metadataOf({ startMs }: Fab, lot: Lot, { tool, details }: Operation) {
  const dueMs = startMs + lot.readyMs + (lot.hot ? hotLimitMs : queueLimitMs)
  return {
    tool,
    ...details,
    route: lot.route,
    step: lot.step,
    carrier_id: lot.carrier,
    due_at: new Date(dueMs).toISOString(),
    ...(lot.hot ? { priority: 'hot' } : {}),
  }
}

type Around = Pick<PlannedJob, 'app' | 'atMs' | 'durationMs' | 'outcome'> & { wafers: number }

/** One after the other; the last one ends as its job does. */
function planParts(dice: Dice, ids: string, job: Around): PlannedPart[] {
  const keys = partKeys(job)
  if (keys.length === 0) return []
  const begun = job.outcome === 'succeeded' ? keys.length : dice.whole(1, keys.length)
  const each = (job.durationMs * 0.94) / begun
  return keys.slice(0, begun).map((key, i) => ({
    id: uuidV5(`${ids}\n${key}`),
    key,
    atMs: job.atMs + job.durationMs * 0.02 + i * each,
    durationMs: each * dice.between(0.7, 0.95),
    outcome: i === begun - 1 ? job.outcome : 'succeeded',
    metrics: measured(dice, job.app),
  }))
}

function partKeys({ app, wafers }: Around): readonly string[] {
  if (app.parts !== 'wafers') return app.parts ?? []
  return Array.from({ length: wafers }, (_, i) => `W${String(i + 1).padStart(2, '0')}`)
}

function measured(dice: Dice, { measure }: App): Record<string, number> {
  if (!measure) return {}
  const [name, target, spread] = measure
  const value = target + spread * (dice.between(-1, 1) + dice.between(-1, 1))
  return { [name]: Math.round(value * 1000) / 1000 }
}
