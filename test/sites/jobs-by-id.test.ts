import assert from 'node:assert/strict'
import { test } from 'node:test'
import { AppError } from '../../src/core/errors.ts'
import { remoteJobsById } from '../../src/sites/jobs-by-id.ts'
import { aJob, idOf } from '../support/sample-jobs.ts'

const { signal } = new AbortController()
const ids = ['a', 'b', 'c'].map(idOf)

test('jobs that are too large for one answer are asked for one by one, and the next ones together again', async () => {
  let together = 0
  const getJobs = remoteJobsById({
    ask: async () => {
      together++
      throw new AppError('too_large', 'id: these jobs are too large for one answer', {
        field: 'id',
      })
    },
    getJob: async (id) => ({ job: aJob({ id }) }) as never,
  })
  for (let n = 1; n <= 2; n++) {
    const jobs = await getJobs(ids, signal)
    assert.deepEqual(
      jobs.map(({ id }) => id),
      ids,
    )
    assert.equal(together, n)
  }
})
