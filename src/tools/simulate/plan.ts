import { uuidV5 } from '../../core/uuid.ts'
import { type App, apps } from './fab.ts'
import { type Dice, diceFrom } from './random.ts'

export type Outcome = 'succeeded' | 'failed' | 'canceled' | 'silent'

/** A job of the simulated fab, from its first event to its last. Times in ms from the start. */
export type PlannedJob = {
  id: string
  atMs: number
  durationMs: number
  app: App
  lot: string
  metadata: Record<string, unknown>
  /** `silent`: the tool went down and nothing more is heard of the job. */
  outcome: Outcome
  error: string | undefined
  cpuUserS: number
  memMb: number
  wafers: PlannedWafer[]
}

export type PlannedWafer = {
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
}

/** A breakdown: what a tool does between these times fails; jobs begun just before it fall silent. */
type Breakdown = { from: number; to: number }

/** Average time between breakdowns of one tool, and how long one lasts, in ms. */
const betweenBreakdownsMs = 40 * 60_000
const breakdownMs = 90_000

/**
 * The jobs of the fab in the order in which they start, without end. The same options give the same
 * jobs, event for event.
 */
export function* planJobs({ seed, startMs, jobsPerMinute }: PlanOptions): Generator<PlannedJob> {
  const dice = diceFrom(seed)
  const breakdowns = new Map<string, Breakdown>()
  let atMs = 0
  for (let n = 1; ; n++) {
    atMs += dice.exponential(60_000 / jobsPerMinute)
    const ids = `${seed}\n${startMs}\n${n}`
    yield planJob(dice, ids, atMs, breakdowns)
  }
}

const weighted = apps.flatMap((app) => Array.from({ length: app.weight }, () => app))

function planJob(dice: Dice, ids: string, atMs: number, downs: Map<string, Breakdown>): PlannedJob {
  const app = dice.pick(weighted)
  const tool = dice.pick(app.tools)
  const lot = `L26N${dice.whole(4200, 4699)}.${dice.whole(1, 3)}`
  const hot = dice.chance(0.06)
  const down = breakdownOf(dice, tool, atMs, downs)
  const durationMs = Math.max(500, dice.lognormal(app.medianS * 1000, app.sigma))
  const outcome = outcomeOf(dice, app, atMs, durationMs, down)
  const wafers = app.wafers ? planWafers(dice, ids, { app, atMs, durationMs, outcome }) : []
  return {
    id: uuidV5(ids),
    atMs,
    durationMs,
    app,
    lot,
    metadata: {
      tool,
      chamber: dice.pick(['A', 'B', 'C']),
      recipe: dice.pick(app.recipes),
      route: dice.pick(['N38-LV', 'N65-HV']),
      step: dice.whole(10, 480),
      carrier_id: `FOUP-${String(dice.whole(1, 1400)).padStart(4, '0')}`,
      ...(hot ? { priority: 'hot' } : {}),
    },
    outcome,
    error: outcome === 'failed' ? errorOf(dice, app, tool, down) : undefined,
    cpuUserS: (durationMs / 1000) * app.cpu * dice.between(0.7, 1.3),
    memMb: app.memMb * dice.between(0.8, 1.3),
    wafers,
  }
}

/** The breakdown that a tool is in, or the next one. */
function breakdownOf(
  dice: Dice,
  tool: string,
  atMs: number,
  downs: Map<string, Breakdown>,
): Breakdown {
  let down = downs.get(tool)
  while (!down || down.to < atMs) {
    const from = (down?.to ?? 0) + dice.exponential(betweenBreakdownsMs)
    down = { from, to: from + dice.exponential(breakdownMs) }
  }
  downs.set(tool, down)
  return down
}

function outcomeOf(
  dice: Dice,
  app: App,
  atMs: number,
  durationMs: number,
  down: Breakdown,
): Outcome {
  const hit = atMs + durationMs > down.from && atMs < down.to
  if (hit) return atMs < down.from && dice.chance(0.3) ? 'silent' : 'failed'
  if (dice.chance(app.failure)) return 'failed'
  return dice.chance(0.012) ? 'canceled' : 'succeeded'
}

function errorOf(dice: Dice, app: App, tool: string, { from, to }: Breakdown): string {
  const minutes = Math.max(1, Math.round((to - from) / 60_000))
  return dice.chance(0.5) ? dice.pick(app.errors) : `${tool} is down, expected for ${minutes} min`
}

type Around = { app: App; atMs: number; durationMs: number; outcome: Outcome }

/** Wafers one after the other; the last one shares the fate of its job. */
function planWafers(dice: Dice, ids: string, job: Around): PlannedWafer[] {
  const size = dice.pick([5, 12, 13, 25])
  const begun = job.outcome === 'succeeded' ? size : dice.whole(1, size)
  const each = (job.durationMs * 0.94) / begun
  return Array.from({ length: begun }, (_, i) => {
    const key = `W${String(i + 1).padStart(2, '0')}`
    const [name, target, spread] = job.app.measure ?? ['reading', 1, 0.1]
    const value = target + spread * (dice.between(-1, 1) + dice.between(-1, 1))
    return {
      id: uuidV5(`${ids}\n${key}`),
      key,
      atMs: job.atMs + job.durationMs * 0.02 + i * each,
      durationMs: each * dice.between(0.7, 0.95),
      outcome: i === begun - 1 ? job.outcome : 'succeeded',
      metrics: { [name]: Math.round(value * 1000) / 1000 },
    }
  })
}
