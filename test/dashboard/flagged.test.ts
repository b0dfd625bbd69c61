import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { fromMs, toMs } from '../../src/core/time.ts'
import { aDashboard } from '../support/dashboard.ts'
import { aJob, idOf } from '../support/sample-jobs.ts'

const noon = '2026-03-01T12:00:00.000000Z'
const ago = (minutes: number) => fromMs(toMs(noon) - minutes * 60_000)
const keysIn = (html: string) =>
  [...html.matchAll(/<tr id="job-[^>]*>.*?<a href="[^"]*">([^<]*)</gs)].map(([, key]) => key)
const running = (jobKey: string, minutes: number, changes: Parameters<typeof aJob>[0] = {}) =>
  aJob({ id: idOf(jobKey), jobKey, status: 'running', startedAt: ago(minutes), ...changes })

describe('GET /jobs?flag=', () => {
  test('shows the running jobs that are stuck, lost or late', async (t) => {
    const { world, get } = aDashboard(t)
    world.jobs = [
      running('FINE', 1),
      running('STUCK', 2, { stuck: true }),
      running('LOST', 3, { lost: true, late: true }),
      aJob({ jobKey: 'LATE BUT DONE', startedAt: ago(4), late: true }),
    ]
    const shown = async (query: string) => keysIn((await get(`/jobs?${query}`)).html)
    assert.deepEqual(await shown('flag=stuck'), ['STUCK'])
    assert.deepEqual(await shown('flag=late'), ['LOST'])
    assert.deepEqual(await shown('flag=stuck&flag=lost&flag=nonsense'), ['STUCK', 'LOST'])
    assert.deepEqual(await shown('flag=nonsense'), ['FINE', 'STUCK', 'LOST', 'LATE BUT DONE'])
  })

  test('keeps its boxes checked, and has no export because the API cannot write such a list', async (t) => {
    const { world, get } = aDashboard(t)
    world.jobs = [running('STUCK', 2, { stuck: true })]
    const { html } = await get('/jobs?flag=stuck')
    assert.match(html, /name="flag" value="stuck" checked/)
    assert.doesNotMatch(html, /jobs\.csv/)
    assert.match((await get('/jobs')).html, /jobs\.csv/)
  })

  test('checks more jobs than fit on a page, and says where it stopped', async (t) => {
    const { world, get, pass } = aDashboard(t)
    const many = (n: number) => Array.from({ length: n }, (_, i) => running(`R${i}`, 10 + i / 100))
    world.jobs = [...many(700), running('STUCK', 100, { stuck: true })]
    const far = await get('/jobs?flag=stuck')
    assert.deepEqual(keysIn(far.html), ['STUCK'])
    assert.doesNotMatch(far.html, /were checked/)
    world.jobs = [...many(1600), running('STUCK', 100, { stuck: true })]
    const beyond = await get('/jobs?flag=stuck&q=R')
    assert.match(beyond.html, /Only 1,500.running jobs were checked/)
    world.jobs = many(150).map((job) => ({ ...job, stuck: true }))
    pass(10)
    const most = await get('/jobs?flag=stuck')
    assert.equal(keysIn(most.html).length, 100)
    assert.match(most.html, /Only the first 100.jobs are shown/)
  })
})
