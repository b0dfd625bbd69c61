import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, describe, type TestContext, test } from 'node:test'
import { setTimeout as wait } from 'node:timers/promises'
import type { Browser, Page } from 'playwright-core'
import { needsBrowser, openBrowser, openPage } from '../support/browser.ts'
import { startRole, until } from '../support/processes.ts'
import { startSite } from '../support/site.ts'
import { startWebFor } from '../support/web.ts'
import { isConnected } from '../support/windows.ts'
import { postEvents } from '../support/wire-events.ts'

/* A site of real processes on which nothing happens. What the API says, the screens say within 5 s. */

/** Room for a browser on a busy machine, beyond the five seconds that are promised. */
const patient = { timeout: 20_000 }

/** A job that promised a heartbeat, and the API on which it is. */
async function aSilentJob(t: TestContext) {
  const silent = new AbortController()
  // Before the sidecar stops.
  t.after(() => silent.abort())
  const site = await startSite(t)
  const id = randomUUID()
  const at = new Date().toISOString()
  const event = {
    idempotency_key: randomUUID(),
    site_id: 'fab1',
    app: { app_id: randomUUID(), name: 'etch', version: '1' },
    entity: { type: 'job', id, business_key: 'SILENT' },
    event: { kind: 'started', at, metadata: { heartbeat_s: 20 } },
  }
  assert.equal((await postEvents(site.sidecar.url, event)).status, 200)
  const job = async () => {
    const found = await fetch(`${site.api.url}/v1/jobs/${id}`)
    return found.ok ? ((await found.json()) as { lost: boolean }) : undefined
  }
  await until('the job to be stored', async () => (await job()) !== undefined)
  const isLost = async () => (await job())?.lost === true
  /** Gives a sign of life every second, however long a slow machine takes until then. @returns ends that */
  const giveSigns = () => {
    const signs = (async () => {
      while (!silent.signal.aborted) {
        const sign = { kind: 'progress', at: new Date().toISOString() }
        const more = { ...event, idempotency_key: randomUUID(), event: sign }
        assert.equal((await postEvents(site.sidecar.url, more)).status, 200)
        await wait(1000, undefined, { signal: silent.signal }).catch(() => undefined)
      }
    })()
    signs.catch(() => undefined)
    return () => {
      silent.abort()
      return signs
    }
  }
  return { ...site, id, isLost, giveSigns }
}

describe('on a site where nothing happens', needsBrowser, () => {
  let browser: Browser
  before(async () => {
    browser = await openBrowser()
  })
  after(() => browser?.close())

  const openAll = async (t: TestContext, base: string, paths: readonly string[]) => {
    const pages: Page[] = []
    for (const path of paths) {
      const { page } = await openPage(t, browser, base)
      await page.goto(base + path)
      await isConnected(page, /^connected$/)
      pages.push(page)
    }
    return pages
  }

  // They wait for the clock: each on a site of its own.
  describe('for a while', { concurrency: 3 }, () => {
    for (const over of ['a local API', 'central'] as const) {
      test(`a job becomes lost on every open page over ${over}`, async (t) => {
        const { api, id, isLost, giveSigns } = await aSilentJob(t)
        const fallSilent = giveSigns()
        const env: Record<string, string> = {}
        if (over === 'central') {
          const central = await startRole(t, 'central', { SITES: `fab1=${api.url}` })
          env.CENTRAL_API = central.url
        }
        const web = await startWebFor(t, api.url, env)
        const paths = ['/', '/jobs', `/jobs/${id}`]
        const pages = await openAll(t, web.url, paths)
        for (const page of pages) assert.equal(await page.locator('.st.lost').count(), 0)
        await fallSilent()
        await until('the API to call it lost', isLost, 90_000)
        for (const page of pages) {
          await page.locator('.st.lost').first().waitFor(patient)
          await page
            .locator('#plant')
            .filter({ hasText: /last event \d+/ })
            .waitFor(patient)
        }
        // The ages on the page go on as well.
        const before = await pages[2]!.locator('main').innerText()
        await until('the page to go on', async () => {
          return (await pages[2]!.locator('main').innerText()) !== before
        })
      })
    }

    test('the page does not call the plant live, only the connection', async (t) => {
      const { api } = await aSilentJob(t)
      const web = await startWebFor(t, api.url)
      const [page] = await openAll(t, web.url, ['/'])
      await page!
        .locator('#plant')
        .filter({ hasText: /^Quiet, last event / })
        .waitFor({ timeout: 60_000 })
      assert.equal(await page!.locator('#link').innerText(), 'connected')
    })
  })

  test('an API that hangs is stale on the page, which stays so and takes weight off the figures', async (t) => {
    const { api, id } = await aSilentJob(t)
    const web = await startWebFor(t, api.url)
    const [page] = await openAll(t, web.url, [`/jobs/${id}`])
    api.child.kill('SIGSTOP')
    t.after(() => api.child.kill('SIGCONT'))
    await page!
      .locator('#link')
      .filter({ hasText: /^stale, / })
      .waitFor(patient)
    const shown = await page!.locator('main').innerText()
    assert.equal(await page!.evaluate('document.documentElement.hasAttribute("data-stale")'), true)
    await page!
      .locator('#link')
      .filter({ hasText: /^stale, 1\d/ })
      .waitFor(patient)
    assert.equal(await page!.locator('main').innerText(), shown)
    api.child.kill('SIGCONT')
    await isConnected(page!, /^connected$/)
    await page!.locator('html:not([data-stale])').waitFor(patient)
  })

  test('the dashboard is healthy before any page is opened', async (t) => {
    const { api } = await aSilentJob(t)
    const web = await startWebFor(t, api.url)
    await until('it to follow the API', async () => {
      const health = (await (await fetch(`${web.url}/v1/healthz`)).json()) as { status: string }
      return health.status === 'ok'
    })
  })
})
