import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { type PlannedJob, type PlanOptions, planJobs } from '../../src/tools/simulate/plan.ts'

function first(n: number, options: PlanOptions): PlannedJob[] {
  const jobs: PlannedJob[] = []
  for (const job of planJobs(options)) if (jobs.push(job) === n) break
  return jobs
}

describe('the simulated fab', () => {
  test('is decided by its seed and the time it begins', () => {
    fc.assert(
      fc.property(fc.nat(), fc.nat(), (seed, startMs) => {
        const options = { seed, startMs, jobsPerMinute: 40 }
        assert.deepEqual(first(30, options), first(30, options))
      }),
      { numRuns: 50 },
    )
  })

  test('has new jobs at every start', () => {
    const ids = (startMs: number) =>
      first(50, { seed: 1, startMs, jobsPerMinute: 40 }).map((job) => job.id)
    assert.equal(new Set([...ids(1), ...ids(2)]).size, 100)
  })

  test('starts jobs in the order of time, about as many as asked, and lets some of them go wrong', () => {
    const jobs = first(4000, { seed: 3, startMs: 0, jobsPerMinute: 40 })
    for (const [i, job] of jobs.entries()) assert.ok(i === 0 || job.atMs >= jobs[i - 1]!.atMs)
    const perMinute = 4000 / (jobs.at(-1)!.atMs / 60_000)
    assert.ok(perMinute > 36 && perMinute < 44, String(perMinute))
    for (const outcome of ['succeeded', 'failed', 'canceled', 'silent']) {
      assert.ok(
        jobs.some((job) => job.outcome === outcome),
        outcome,
      )
    }
    assert.ok(jobs.some((job) => job.metadata.priority === 'hot'))
  })
})
