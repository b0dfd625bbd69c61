import { recipeOf } from '../core/health.ts'
import type { Job, JobReader, Usual } from '../core/job.ts'
import type { Store } from './connect.ts'

type Row = Usual & { entityType: string; siteId: string; appName: string; appVersion: string } & {
  recipe: string
}

/** Most kinds of runs held in memory; the newest. */
const maxHeld = 20_000

/**
 * A reader whose jobs tell how long runs of their kind usually take. The figures are few and change
 * every few minutes, so they are held in memory and cost a list nothing; when they cannot be read,
 * jobs are told without them.
 */
export function withUsual(reader: JobReader, store: Store, maxAgeMs = 60_000): JobReader {
  let held = new Map<string, Usual>()
  let readAt = -Infinity
  let reading: Promise<void> | undefined
  const refresh = async () => {
    if (performance.now() - readAt < maxAgeMs) return
    reading ??= usualOf(store)
      .then((read) => {
        held = read
      })
      .catch(() => {})
      .finally(() => {
        readAt = performance.now()
        reading = undefined
      })
    await reading
  }
  const told = (job: Job): Job => {
    const usual = held.get(keyOf({ ...job, recipe: recipeOf(job.metadata) }))
    return usual ? { ...job, usual } : job
  }
  return {
    ...reader,
    findJobs: async (filter, signal) => {
      const [page] = await Promise.all([reader.findJobs(filter, signal), refresh()])
      return { ...page, items: page.items.map(told) }
    },
    findSubjobs: async (filter, signal) => {
      const [page] = await Promise.all([reader.findSubjobs(filter, signal), refresh()])
      return { ...page, items: page.items.map(told) }
    },
    getJob: async (id, signal) => {
      const [found] = await Promise.all([reader.getJob(id, signal), refresh()])
      return found && { ...found, job: told(found.job) }
    },
  }
}

async function usualOf(store: Store): Promise<Map<string, Usual>> {
  const rows = await store.ask<Row[]>(
    { operation: 'listUsual', table: 'baseline' },
    (sql) => sql`
      /* usual.list */
      select case entity_type when 'j' then 'job' else 'subjob' end as entity_type,
        site_id, app_name, app_version, recipe, runs, p05_s, p50_s, p95_s
      from baseline order by made_at desc limit ${maxHeld}`,
  )
  const usual = ({ runs, p05S, p50S, p95S }: Row): Usual => ({ runs, p05S, p50S, p95S })
  return new Map(rows.map((row) => [keyOf(row), usual(row)]))
}

const keyOf = (kind: Omit<Row, keyof Usual>) =>
  JSON.stringify([kind.entityType, kind.siteId, kind.appName, kind.appVersion, kind.recipe])
