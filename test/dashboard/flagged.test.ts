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
    assert.deepEqual(await shown('flag=stuck&flag=lost'), ['STUCK', 'LOST'])
  })

  test('keeps its boxes checked, and has an export like every list', async (t) => {
    const { world, get } = aDashboard(t)
    world.jobs = [running('STUCK', 2, { stuck: true })]
    const { html } = await get('/jobs?flag=stuck')
    assert.match(html, /name="flag" value="stuck" checked/)
    assert.match(html, /jobs\.csv\?flag=stuck/)
  })

  test('finds one among thousands that began long before the window, and counts them all', async (t) => {
    const { world, get } = aDashboard(t)
    const many = Array.from({ length: 1600 }, (_, i) => running(`R${i}`, 10 + i / 100))
    world.jobs = [...many, running('STUCK', 60 * 24 * 30, { stuck: true })]
    assert.deepEqual(keysIn((await get('/jobs?flag=stuck&w=1h')).html), ['STUCK'])
    world.jobs = many.slice(0, 150).map((job) => ({ ...job, stuck: true }))
    const { html } = await get('/jobs?flag=stuck&q=R')
    assert.match(html, /150.running jobs stuck, whenever they began/)
    assert.equal(keysIn(html).length, 100)
    const next = /rel="next" href="([^"]*)"/.exec(html)?.[1]?.replaceAll('&amp;', '&')
    assert.equal(keysIn((await get(next ?? '')).html).length, 50)
  })

  test('says how many have no history to be judged by', async (t) => {
    const { world, get } = aDashboard(t)
    world.jobs = [running('NEW', 9, { usual: undefined })]
    assert.match((await get('/jobs?flag=stuck')).html, /1.running job not judged: no history yet/)
    const { html } = await get('/')
    assert.match(
      html,
      /None of 1.running job is known to be stuck, lost or late\. 1.job not judged/,
    )
    assert.doesNotMatch(html, /is stuck, lost or late\./)
  })

  test('is refused with states or an order in which no job is stuck', async (t) => {
    const { get } = aDashboard(t)
    for (const query of [
      'flag=stuck&status=failed',
      'flag=lost&sort=ended-desc',
      'flag=nonsense',
    ]) {
      assert.equal((await get(`/jobs?${query}`)).status, 422, query)
    }
    // Only of what the address has.
    assert.doesNotMatch((await get('/jobs?flag=stuck&status=failed')).html, /<b>sort<|sort: must/)
  })
})
