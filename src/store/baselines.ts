import type { Job } from '../core/job.ts'
import { type Baseline, type BaselineKey, readRecipe } from '../core/job-health.ts'
import type { Store } from './connect.ts'

const table = 'baseline'
/** The newest runs count, of each kind of entity: this many, and this far back. */
const maxRuns = 50_000
const maxDays = 7
/** Fewer runs than this make no baseline. */
const leastRuns = 20

/**
 * Measures how long runs usually take, from the newest that succeeded (failed and canceled ones end
 * at any time). The baseline of a recipe that did not run recently stays.
 *
 * @returns how many baselines were made
 */
export async function makeBaselines(store: Store): Promise<number> {
  let made = 0
  for (const entity of ['job', 'subjob'] as const) {
    const { count } = await store.ask(
      { operation: 'makeBaselines', table },
      (sql) => sql`
        /* baseline.make */
        insert into baseline (entity_type, site_id, app_name, app_version, recipe,
          runs, p05_s, p50_s, p95_s, p99_s, gap_s)
        select ${entityTypes[entity]}::"char", site_id, app_name, app_version, recipe, runs,
          p[1], p[2], p[3], p[4], coalesce(gap, p[4])
        from (
          select site_id, app_name, app_version, recipe, count(*) as runs,
            percentile_disc(array[0.05, 0.5, 0.95, 0.99]) within group (order by duration_s) as p,
            percentile_disc(0.99) within group (order by duration_s / nullif(event_count - 1, 0)) as gap
          from (
            select site_id, app_name, app_version, duration_s, event_count,
              coalesce(recipe, '') as recipe
            from ${sql(entity)}
            where ended_at > now() - make_interval(days => ${maxDays}) and ended_at <= now()
              and status = 'succeeded'
            order by ended_at desc limit ${maxRuns}) newest
          group by 1, 2, 3, 4 having count(*) >= ${leastRuns}) kinds
        on conflict (entity_type, site_id, app_name, app_version, recipe) do update set
          runs = excluded.runs, p05_s = excluded.p05_s, p50_s = excluded.p50_s,
          p95_s = excluded.p95_s, p99_s = excluded.p99_s, gap_s = excluded.gap_s, made_at = now()`,
    )
    made += count
  }
  return made
}

/** As the column `entity_type` has it. */
const entityTypes = { job: 'j', subjob: 's' } as const

type Row = Baseline & Omit<BaselineKey, 'entityType'> & { entityType: string }

/** Maximum baselines held in memory, the newest. */
const maxHeld = 20_000

/**
 * The baselines, held in memory: they are few (each stands for at least 20 of 50,000 runs) and
 * change every few minutes, and every list needs them.
 */
export class Baselines {
  readonly #store: Store
  readonly #maxAgeMs: number
  #held = new Map<string, Baseline>()
  #readAt = -Infinity
  #reading: Promise<void> | undefined

  constructor(store: Store, maxAgeMs = 60_000) {
    this.#store = store
    this.#maxAgeMs = maxAgeMs
  }

  /** Reads them again when they are old. Old ones are used while the database is away. */
  async refresh(): Promise<void> {
    if (performance.now() - this.#readAt < this.#maxAgeMs) return
    this.#reading ??= this.#read().finally(() => {
      this.#reading = undefined
    })
    try {
      await this.#reading
    } catch (error) {
      if (this.#readAt === -Infinity) throw error
    }
  }

  of(job: Omit<BaselineKey, 'recipe'> & Pick<Job, 'metadata'>): Baseline | undefined {
    const { entityType, siteId, appName, appVersion } = job
    const recipe = readRecipe(job.metadata)
    return this.#held.get(keyOf({ entityType, siteId, appName, appVersion, recipe }))
  }

  async #read(): Promise<void> {
    const rows = await this.#store.ask<Row[]>(
      { operation: 'listBaselines', table },
      (sql) => sql`
        /* baseline.list */
        select case entity_type when 'j' then 'job' else 'subjob' end as entity_type,
          site_id, app_name, app_version, recipe, runs, p05_s, p50_s, p95_s, p99_s, gap_s
        from baseline order by made_at desc limit ${maxHeld}`,
    )
    this.#held = new Map(rows.map((row) => [keyOf(row as BaselineKey), row]))
    this.#readAt = performance.now()
  }
}

/** No name holds a NUL: it is refused at the first door. */
const keyOf = ({ entityType, siteId, appName, appVersion, recipe }: BaselineKey) =>
  `${entityType}\0${siteId}\0${appName}\0${appVersion}\0${recipe}`
