import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { fromMs, toMs } from '../../src/core/time.ts'
import { aDashboard } from '../support/dashboard.ts'
import { aJob, idOf } from '../support/sample-jobs.ts'

const noon = '2026-03-01T12:00:00.000000Z'

/** `counts[0]` jobs in this window of an hour, `counts[1]` in the one before, and so on. */
function jobsBack(counts: number[], status: 'failed' | 'succeeded' = 'failed') {
  return counts.flatMap((n, back) =>
    Array.from({ length: n }, (_, i) =>
      aJob({
        id: idOf(`${status} ${back} ${i}`),
        status,
        startedAt: fromMs(toMs(noon) - back * 3_600_000 - 60_000 * (10 + i)),
      }),
    ),
  )
}

const cardOf = (html: string, label: string) => {
  const [, card] = new RegExp(`<li class="card"><p class="lab">${label}(.*?)</li>`, 's').exec(html)!
  return card!
    .replaceAll(/<[^>]*>/g, ' ')
    .replaceAll(/\s+/g, ' ')
    .trim()
}

for (const path of ['/?w=1h', '/jobs?w=1h']) {
  describe(`the cards of ${path}`, () => {
    test('give the counts of the four windows before, and the side that a count is on', async (t) => {
      for (const [failed, words] of [
        [3, 'usual 2 to 5'],
        [9, 'above usual 2 to 5'],
        [1, 'below usual 2 to 5'],
      ] as const) {
        const { world, get } = aDashboard(t)
        world.jobs = jobsBack([failed, 2, 5, 4, 3])
        const card = cardOf((await get(path)).html, 'Failed')
        assert.equal(card, `100.0\u00a0% of ended ${failed} ${words}`.replaceAll('\u00a0', ' '))
      }
    })

    test('give no usual count when the past is not known', async (t) => {
      const { world, get } = aDashboard(t)
      world.jobs = jobsBack([3, 2, 5])
      assert.doesNotMatch(cardOf((await get(path)).html, 'Failed'), /usual/)
    })
  })
}

test('usual counts are asked for once, for any number of requests', async (t) => {
  const { world, get, pass } = aDashboard(t)
  world.jobs = jobsBack([3, 2, 5, 4, 3])
  await get('/jobs?w=1h')
  world.jobs = jobsBack([3, 20, 50, 40, 30])
  pass(60)
  assert.match(cardOf((await get('/jobs?w=1h')).html, 'Failed'), /usual 2 to 5/)
  pass(300)
  assert.match(cardOf((await get('/jobs?w=1h')).html, 'Failed'), /below usual 20 to/)
})

test('usual counts are shown only beside counts of the same sites', async (t) => {
  const { world, get, pass } = aDashboard(t)
  world.jobs = jobsBack([3, 2, 5, 4, 3])
  const fails = (...missing: string[]) => {
    world.omissions = { stats: { sites: { total: 3, missing } } }
  }
  const shown = async () => /usual 2 to 5/.test(cardOf((await get('/jobs?w=1h')).html, 'Failed'))
  assert.equal(await shown(), true)
  fails('fab2')
  pass(10)
  assert.equal(await shown(), false, 'all sites are no measure for two of three')
  pass(300)
  assert.equal(await shown(), true, 'the same two sites are')
  fails('fab3')
  pass(10)
  assert.equal(await shown(), false, 'two others are not')
  fails()
  pass(10)
  assert.equal(await shown(), false, 'two sites are no measure for three')
  pass(20)
  assert.equal(await shown(), true, 'once they have answered again')
})
