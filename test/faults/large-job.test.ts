import assert from 'node:assert/strict'
import { after, before, describe, type TestContext, test } from 'node:test'
import type { Browser } from 'playwright-core'
import { fromMs } from '../../src/core/time.ts'
import { emptyWorld } from '../support/array-reader.ts'
import { needsBrowser, openBrowser, openPage, picture } from '../support/browser.ts'
import { startFakeApi } from '../support/fake-api.ts'
import { addLot, aJob, fillShift, idOf, manySteps, someSources } from '../support/sample-jobs.ts'
import { startWebFor } from '../support/web.ts'

const now = () => fromMs(Date.now())
const ago = (seconds: number) => fromMs(Date.now() - seconds * 1000)

/** A lot of 10,000 steps and 10,000 events: one step failed early, and so did one event. */
async function aLargeLot(t: TestContext) {
  const world = emptyWorld(now)
  fillShift(world, now(), 300)
  const lot = addLot(world, now())
  world.sources = someSources(now())
  world.subjobs = manySteps(lot, {
    startedAt: (i) => ago(12_000 - i),
    lastError: 'pattern score 0.31 below 0.60',
  })
  const part = { entityType: 'subjob', parentId: idOf('step 7'), jobKey: 'L26N4402.1' } as const
  world.subjobs.push(aJob({ id: idOf('align'), subKey: 'align', startedAt: ago(11_990), ...part }))
  const lost = { ...part, parentId: idOf('nowhere'), jobKey: 'L77.1' }
  world.subjobs.push(aJob({ id: idOf('orphan'), subKey: 'W3', startedAt: ago(3600), ...lost }))
  const told = Array.from({ length: 10_000 }, (_, i) => ({
    idempotency_key: idOf(`event ${i}`),
    event: {
      kind: i === 3 ? 'error' : 'progress',
      ...(i === 3 ? { status: 'failed' } : {}),
      at: ago(12_000 - i),
      metadata: { note: i === 3 ? 'reticle not found' : `n ${i}` },
    },
    received_at: ago(12_000 - i),
  }))
  world.events.set(lot.id, told)
  lot.eventCount = told.length
  const api = await startFakeApi(t, world)
  const web = await startWebFor(t, api.url)
  return { world, lot, base: web.url }
}

describe('a job of 10,000 subjobs in a browser', needsBrowser, () => {
  let browser: Browser
  before(async () => {
    browser = await openBrowser()
  })
  after(() => browser?.close())

  test('is a page under 100 kB, which hides neither the failed subjob nor the failing event', async (t) => {
    const { base, lot } = await aLargeLot(t)
    const { page, watch } = await openPage(t, browser, base)
    const answer = await page.goto(`${base}/jobs/${lot.id}`, { waitUntil: 'load' })
    const size = (await answer?.body())?.length ?? 0
    assert.ok(size > 10_000 && size < 100_000, `${size} bytes`)
    assert.ok(await page.getByText('reticle not found').isVisible())
    await page.getByText('These 60 as a table').click()
    assert.ok(await page.getByRole('cell', { name: 'pattern score 0.31' }).isVisible())

    await page.getByRole('link', { name: 'Succeeded 9,998' }).click()
    await page.getByText('60 of succeeded 9,998').waitFor()
    await page.getByRole('link', { name: 'Older subjobs' }).click()
    await page.getByRole('link', { name: 'step 9939', exact: true }).first().waitFor()
    await page.getByRole('link', { name: 'Older events' }).click()
    await page.getByText('n 9939').waitFor()
    assert.ok(await page.getByRole('link', { name: 'step 9939', exact: true }).first().isVisible())

    await page.getByRole('link', { name: 'Failed 1' }).click()
    await page.getByRole('link', { name: 'step 7', exact: true }).last().click()
    await page.getByText(/^part of/).waitFor()
    await page.getByRole('link', { name: 'align', exact: true }).first().click()
    await page.getByText('part of step 7 of L26N4402.1').waitFor()
    assert.deepEqual(watch, { elsewhere: [], errors: [] })
  })

  test('does not scroll sideways, in light and dark at 1080p and on a phone', async (t) => {
    const { base, lot } = await aLargeLot(t)
    const path = `${base}/jobs/${lot.id}?subjobs=failed`
    for (const colorScheme of ['light', 'dark'] as const) {
      const viewport = { width: 1920, height: 1080 }
      const { page } = await openPage(t, browser, base, { colorScheme, viewport })
      for (const [name, at] of [
        ['large-job', `${base}/jobs/${lot.id}`],
        ['large-job-failed', path],
        ['orphans', `${base}/pipeline`],
        ['causes', `${base}/?w=1h`],
        ['found-subjobs', `${base}/jobs?q=l77&w=7d`],
      ] as const) {
        await page.goto(at, { waitUntil: 'load' })
        await picture(page, `${name}-${colorScheme}-1920`)
        const width = await page.evaluate('document.documentElement.scrollWidth')
        assert.deepEqual({ name, width }, { name, width: 1920 })
      }
    }
    const phone = { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true }
    const { page } = await openPage(t, browser, base, phone)
    for (const at of [`/jobs/${lot.id}`, '/?w=1h', '/pipeline', '/jobs?q=l77&w=7d']) {
      await page.goto(base + at)
      const width = await page.evaluate('document.documentElement.scrollWidth')
      await picture(page, `phone${at.replaceAll(/\W+/g, '-').slice(0, 20)}`)
      assert.deepEqual({ at, width }, { at, width: 390 })
    }
  })

  test('finds a subjob whose job has not reported by search, and counts it', async (t) => {
    const { base } = await aLargeLot(t)
    const { page } = await openPage(t, browser, base)
    await page.goto(`${base}/jobs?q=l77&w=7d`)
    const row = page.getByRole('row').filter({ hasText: 'L77.1' })
    await row.getByRole('link', { name: 'W3' }).click()
    await page.getByText('part of a job that has not reported').waitFor()
    await page.goto(`${base}/pipeline`)
    await page.getByText(/1.subjob whose job has not reported/).waitFor()
  })

  test('leads from a card to as many jobs as it counts', async (t) => {
    const { base } = await aLargeLot(t)
    const { page } = await openPage(t, browser, base)
    await page.goto(`${base}/?w=1h`)
    const card = page.locator('.card').filter({ hasText: 'Failed' })
    const value = await card.locator('.val').innerText()
    assert.match(value, /^[1-9]/)
    await card.getByRole('link').click()
    await page.waitForURL(/status=failed/)
    assert.equal(await page.locator('tr[id^="job-"]').count(), Number(value))
  })
})
