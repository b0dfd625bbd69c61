import assert from 'node:assert/strict'
import { after, before, describe, type TestContext, test } from 'node:test'
import { AxeBuilder } from '@axe-core/playwright'
import type { Browser } from 'playwright-core'
import { fromMs } from '../../src/core/time.ts'
import { emptyWorld } from '../support/array-reader.ts'
import { needsBrowser, openBrowser, openPage, picture } from '../support/browser.ts'
import { startFakeApi } from '../support/fake-api.ts'
import { layoutFaults, listWideTables } from '../support/layout-faults.ts'
import { addRecord } from '../support/record-jobs.ts'
import { aJob, fillShift, idOf } from '../support/sample-jobs.ts'
import { fewer } from '../support/short-form.ts'
import { startWebFor } from '../support/web.ts'

/* Attempts, queues and ends as a reader sees them. */

const now = () => fromMs(Date.now())
const patient = { timeout: 20_000 }

/** Text that would run as code, widen the page, or turn it around. */
const hostile = `<img src=x onerror=alert(1)>${'w'.repeat(300)}\u202e`

async function aFab(t: TestContext) {
  const world = emptyWorld(now)
  fillShift(world, now(), 60)
  const { tried, waiting, closed } = addRecord(world, now())
  const bad = aJob({
    ...tried,
    id: idOf('record hostile'),
    jobKey: 'HOSTILE',
    status: 'queued',
    endedAt: null,
    durationS: null,
    queueS: null,
    lastError: null,
    metadata: {
      reason: hostile,
      queue: hostile,
      host: hostile,
      links: [{ title: hostile, url: `https://logs.fab1.example/${'x'.repeat(500)}` }],
    },
  })
  world.jobs.push(bad)
  const attempts = world.attempts?.get(tried.id) ?? []
  world.attempts?.set(
    bad.id,
    attempts.map((one) => ({ ...one, lastError: hostile, exitCode: hostile.slice(0, 200) })),
  )
  const api = await startFakeApi(t, world)
  const web = await startWebFor(t, api.url)
  return { world, api, tried, waiting, closed, bad, base: web.url }
}

describe('attempts, queues and ends', needsBrowser, () => {
  let browser: Browser
  before(async () => {
    browser = await openBrowser()
  })
  after(() => browser?.close())

  for (const colorScheme of fewer(['dark', 'light'] as const, 2)) {
    test(`fit on a desk and on a phone, whatever they say (${colorScheme})`, async (t) => {
      const { base, tried, waiting, bad } = await aFab(t)
      const { page, watch } = await openPage(t, browser, base, { colorScheme })
      for (const [name, path] of [
        ['tried', `/jobs/${tried.id}`],
        ['waiting', `/jobs/${waiting.id}`],
        ['hostile', `/jobs/${bad.id}`],
        ['list', '/jobs'],
        ['overview', '/'],
      ] as const) {
        await page.goto(base + path)
        for (const [width, height] of [
          [390, 844],
          [1920, 1080],
        ] as const) {
          await page.setViewportSize({ width, height })
          await picture(page, `record-${name}-${colorScheme}-${width}`)
          const faults = await page.evaluate(layoutFaults)
          assert.deepEqual({ name, width, faults }, { name, width, faults: [] })
          const wide = await page.evaluate(listWideTables)
          assert.deepEqual({ name, width, wide }, { name, width, wide: [] })
        }
        const { violations } = await new AxeBuilder({ page }).analyze()
        assert.deepEqual(
          violations.map(({ id, nodes }) => `${name}: ${id} ${nodes[0]?.html}`),
          [],
        )
      }
      assert.deepEqual(watch, { elsewhere: [], errors: [] })
    })
  }

  test('a column for queues appears on an open list with the first job that has one', async (t) => {
    const { base, api, world } = await aFab(t)
    world.jobs = world.jobs.filter(({ queuedAt }) => queuedAt === null)
    const { page } = await openPage(t, browser, base)
    await page.goto(`${base}/jobs?w=1h`)
    const heading = page.locator('#rows th', { hasText: 'Queued for' })
    await page.locator('#link', { hasText: 'connected' }).waitFor(patient)
    assert.equal(await heading.isVisible(), false)
    const [job] = world.jobs.filter(({ status }) => status === 'running')
    assert.ok(job, 'a job runs')
    const at = now()
    api.put({ ...job, status: 'queued', queuedAt: job.startedAt, updatedAt: at, lastEventAt: at })
    await heading.waitFor(patient)
    await page.locator(`#job-${job.id} .st.wait`).waitFor(patient)
  })
})
