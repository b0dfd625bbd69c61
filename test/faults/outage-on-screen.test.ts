import assert from 'node:assert/strict'
import { after, before, describe, type TestContext, test } from 'node:test'
import { AxeBuilder } from '@axe-core/playwright'
import type { Browser, Page } from 'playwright-core'
import { fromMs } from '../../src/core/time.ts'
import { emptyWorld } from '../support/array-reader.ts'
import { needsBrowser, openBrowser, openPage, picture } from '../support/browser.ts'
import { startFakeApi } from '../support/fake-api.ts'
import { freePort, startRole } from '../support/processes.ts'
import { aJob, fillShift, idOf, someSources } from '../support/sample-jobs.ts'
import { startWebFor } from '../support/web.ts'

const now = () => fromMs(Date.now())
const patient = { timeout: 40_000 }

/** A site with jobs whose API can go and come back at the same address. */
async function aSite(t: TestContext, siteId = 'fab1') {
  const world = emptyWorld(now)
  fillShift(world, now(), 40)
  for (const job of world.jobs) {
    Object.assign(job, { siteId, id: idOf(`${siteId} ${job.id}`) })
  }
  world.sources = someSources(now())
  const port = await freePort()
  let api = await startFakeApi(t, world, port)
  return {
    world,
    url: `http://127.0.0.1:${port}`,
    stop: () => api.stop(),
    start: async () => {
      api = await startFakeApi(t, world, port)
    },
    /** A job that starts now. */
    begin: (jobKey: string) => {
      const at = now()
      const times = { startedAt: at, insertedAt: at, updatedAt: at, lastEventAt: at }
      const job = aJob({ id: idOf(jobKey), jobKey, siteId, status: 'running', ...times })
      api.put(job)
      return job
    },
    put: (...given: Parameters<typeof api.put>) => api.put(...given),
  }
}

const fresh = (page: Page, text: RegExp) =>
  page.locator('#fresh').filter({ hasText: text }).waitFor(patient)

describe('during an outage', needsBrowser, () => {
  let browser: Browser
  before(async () => {
    browser = await openBrowser()
  })
  after(() => browser?.close())

  test('an open page says that the API is down and since when, and recovers by itself', async (t) => {
    const site = await aSite(t)
    const web = await startWebFor(t, site.url)
    const { page } = await openPage(t, browser, web.url)
    await page.goto(`${web.url}/jobs`)
    await fresh(page, /(?<!not )connected$/)
    const rows = await page.locator('tbody tr').count()
    await page.evaluate('window.same = true')

    await site.stop()
    await fresh(page, /stale, \d+/)
    const banner = page.locator('#outage .banner')
    await banner.getByText(/cannot be reached|ended the stream/).waitFor(patient)
    await banner.getByText(/These are the last known values, .* old/).waitFor(patient)
    assert.equal(await page.locator('tbody tr').count(), rows)
    await picture(page, 'outage-jobs')
    const { violations } = await new AxeBuilder({ page }).include('#outage').analyze()
    assert.deepEqual(
      violations.map(({ id, nodes }) => `${id}: ${nodes[0]?.html}`),
      [],
    )

    await site.start()
    await fresh(page, /(?<!not )connected$/)
    await banner.waitFor({ ...patient, state: 'detached' })
    site.begin('L26N9001.1')
    await page.getByText('1 new: show').waitFor(patient)
    assert.equal(await page.evaluate('window.same'), true)
  })

  test('a row that ended while the API was down is correct afterwards', async (t) => {
    const site = await aSite(t)
    const job = site.begin('L26N9001.1')
    const web = await startWebFor(t, site.url)
    const { page } = await openPage(t, browser, web.url)
    await page.goto(`${web.url}/jobs?status=running`)
    await fresh(page, /(?<!not )connected$/)
    const row = page.locator(`#job-${job.id}`)
    assert.match(await row.innerText(), /running/)
    await site.stop()
    await fresh(page, /stale, /)
    const at = now()
    const ended = { ...job, status: 'failed', durationS: 5, endedAt: at } as const
    site.put({ ...ended, updatedAt: at, lastEventAt: at })
    await site.start()
    await row.locator('.st.fail').waitFor(patient)
  })

  test('a page with nothing to show says why, and loads as soon as the API is back', async (t) => {
    for (const javaScriptEnabled of [true, false]) {
      const site = await aSite(t)
      await site.stop()
      const web = await startWebFor(t, site.url)
      const { page } = await openPage(t, browser, web.url, { javaScriptEnabled })
      const answer = await page.goto(`${web.url}/jobs`)
      assert.equal(answer?.status(), 503)
      await page.getByText('There is nothing to show yet').waitFor()
      await picture(page, 'outage-nothing')
      await site.start()
      await page.locator('tbody tr').first().waitFor(patient)
    }
  })

  test('a page whose first connection failed still becomes live', async (t) => {
    const site = await aSite(t)
    const web = await startWebFor(t, site.url)
    const { page } = await openPage(t, browser, web.url)
    // What a worker asks for cannot be refused from here.
    await page.addInitScript('delete window.SharedWorker')
    let refused = 0
    await page.route('**/events', (route) => (refused++ === 0 ? route.abort() : route.continue()))
    await page.goto(`${web.url}/jobs`)
    await fresh(page, /polling$/)
    assert.ok(refused > 1)
  })

  test('a page says that the dashboard itself is down, and is live when it is back', async (t) => {
    const site = await aSite(t)
    const port = String(await freePort())
    const web = await startWebFor(t, site.url, { PORT: port })
    const { page } = await openPage(t, browser, web.url)
    await page.goto(`${web.url}/jobs`)
    await fresh(page, /(?<!not )connected$/)
    await web.stop()
    await fresh(page, /stale, \d+.s: no contact with the dashboard/)
    await startWebFor(t, site.url, { PORT: port })
    await fresh(page, /(?<!not )connected$/)
    site.begin('L26N9001.1')
    await page.getByText('1 new: show').waitFor(patient)
  })

  test('the view of all sites is live, and names a site without contact', async (t) => {
    const [one, two] = [await aSite(t, 'fab1'), await aSite(t, 'fab2')]
    const SITES = `fab1=${one.url},fab2=${two.url}`
    const central = await startRole(t, 'central', { SITES, REQUEST_TIMEOUT_S: '2' })
    const web = await startWebFor(t, '', { CENTRAL_API: central.url })
    const { page, watch } = await openPage(t, browser, web.url)
    await page.goto(`${web.url}/jobs`)
    await fresh(page, /(?<!not )connected$/)
    one.begin('L26N9001.1')
    two.begin('L26N9002.1')
    await page.getByText('2 new: show').waitFor(patient)

    await two.stop()
    await fresh(page, /^Partial, 1 of 2.sites/)
    await page.getByText(/No contact: fab2 since \d\d:\d\d:\d\d/).waitFor(patient)
    await picture(page, 'outage-all-sites')
    // The new one of the other site is not in the list that the button shows.
    await page.getByText('1 new: show').waitFor(patient)
    one.begin('L26N9003.1')
    await page.getByText('2 new: show').waitFor(patient)

    await two.start()
    await fresh(page, /(?<!not )connected$/)
    two.begin('L26N9004.1')
    await page.getByText('4 new: show').waitFor(patient)
    assert.deepEqual(watch, { elsewhere: [], errors: [] })
  })
})
