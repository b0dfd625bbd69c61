import type { Event } from '../../src/core/event.ts'
import type { Store } from '../../src/store/connect.ts'
import { expectedOf } from '../support/oracle.ts'
import { run } from '../support/store.ts'
import type { Sent, Tally } from './clients.ts'
import type { World } from './world.ts'

export type Verdict = {
  acknowledged: number
  jobs: number
  /** Acknowledged, and nowhere. */
  lost: string[]
  /** Counted more than once in the row of a job. */
  doubled: string[]
  /** Jobs whose row is not what the rules make of their events. */
  wrong: string[]
}

type JobRow = {
  id: string
  status: string
  eventCount: number
  errorCount: number
  endedAt: string
}

/** Holds what the site keeps against what was acknowledged. */
export async function judge(
  { store, apis }: World,
  { acknowledged, made }: Tally,
): Promise<Verdict> {
  const stored = await storedKeys(store)
  const rows = new Map((await jobRows(store)).map((row) => [row.id, row]))
  const jobs = Map.groupBy(acknowledged.values(), ({ entity }) => entity.id)
  const verdict: Verdict = {
    acknowledged: acknowledged.size,
    jobs: jobs.size,
    lost: [...acknowledged.keys()].filter((key) => !stored.has(key)),
    doubled: [],
    wrong: [],
  }
  const url = apis[0]?.running.url ?? ''
  for (const [id, events] of jobs) {
    const row = rows.get(id)
    if (!row) verdict.wrong.push(id)
    else if (row.eventCount > (made.get(id) ?? 0)) verdict.doubled.push(id)
    else if (events.length === made.get(id) && !isRight(row, events)) verdict.wrong.push(id)
  }
  for (const id of [...jobs.keys()].slice(0, mostCompared)) {
    if (!(await isAsStored(url, id, rows.get(id)))) verdict.wrong.push(id)
  }
  return verdict
}

/** Reading the events of a job is a request each. */
const mostCompared = 300

async function storedKeys(store: Store): Promise<Set<string>> {
  const found = await run(
    store,
    'select idempotency_key as key from event union all select idempotency_key from event_late',
  )
  return new Set(found.map(({ key }) => String(key)))
}

const jobRows = async (store: Store) =>
  (await run(
    store,
    'select job_id as id, status, event_count, error_count, ended_at from job',
  )) as unknown as JobRow[]

function isRight(row: JobRow, events: readonly Sent[]): boolean {
  const end = events.find(({ event }) => event.kind === 'finished')
  return row.eventCount === events.length && row.status === (end?.event.status ?? 'running')
}

/** Times may have been corrected on the way, so the rules are applied to the events as they are kept. */
async function isAsStored(url: string, id: string, row: JobRow | undefined): Promise<boolean> {
  const answer = await fetch(`${url}/v1/jobs/${id}/events?limit=1000`)
  const { items } = (await answer.json()) as { items: Event[] }
  if (items.length === 0 || !row) return false
  const expected = expectedOf(items)
  return (
    row.status === expected.status &&
    row.errorCount === expected.errorCount &&
    row.endedAt === expected.endedAt
  )
}
