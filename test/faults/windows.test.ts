import assert from 'node:assert/strict'
import { createServer, request as send } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, before, describe, type TestContext, test } from 'node:test'
import type { Browser, BrowserContext, Page } from 'playwright-core'
import { fromMs } from '../../src/core/time.ts'
import { emptyWorld } from '../support/array-reader.ts'
import { needsBrowser, openBrowser } from '../support/browser.ts'
import { startFakeApi } from '../support/fake-api.ts'
import { until } from '../support/processes.ts'
import { aJob, fillShift, idOf, someSources } from '../support/sample-jobs.ts'
import { startWebFor } from '../support/web.ts'
import { isConnected } from '../support/windows.ts'

const now = () => fromMs(Date.now())
const patient = { timeout: 20_000 }

/** A fab with a running job, and the dashboard over it. */
async function aFab(t: TestContext) {
  const world = emptyWorld(now)
  fillShift(world, now(), 30)
  world.sources = someSources(now())
  const at = now()
  const times = { startedAt: at, insertedAt: at, updatedAt: at, lastEventAt: at }
  const job = aJob({ id: idOf('watched'), jobKey: 'WATCHED', status: 'running', ...times })
  world.jobs.push(job)
  const api = await startFakeApi(t, world)
  const web = await startWebFor(t, api.url)
  const lose = () => {
    world.jobs = world.jobs.map((one) => (one.id === job.id ? { ...one, lost: true } : one))
  }
  const streams = async () => (await web.metrics.streamClients.get()).values[0]?.value ?? 0
  return { job, base: web.url, lose, streams }
}

async function aContext(t: TestContext, browser: Browser): Promise<BrowserContext> {
  const context = await browser.newContext()
  t.after(() => context.close())
  return context
}

async function openAll(context: BrowserContext, addresses: readonly string[]): Promise<Page[]> {
  const pages: Page[] = []
  for (const address of addresses) {
    const page = await context.newPage()
    await page.goto(address, { waitUntil: 'load' })
    pages.push(page)
  }
  return pages
}

const becameLost = (page: Page) => page.locator('.st.lost').first().waitFor(patient)

describe('the windows of one browser', needsBrowser, () => {
  let browser: Browser
  before(async () => {
    browser = await openBrowser()
  })
  after(() => browser?.close())

  test('share one stream: nine visible ones are all live over HTTP/1.1', async (t) => {
    const { base, job, lose, streams } = await aFab(t)
    const context = await aContext(t, browser)
    const filters = ['', '?status=running', '?w=1h', '?w=72h', '?q=WATCHED', '?sort=started-asc']
    const paths = ['/', `/jobs/${job.id}`, ...filters.map((query) => `/jobs${query}`)]
    const pages = await openAll(
      context,
      [...paths, '/jobs'].map((path) => base + path),
    )
    assert.equal(pages.length, 9)
    for (const page of pages) await isConnected(page, /^connected$/)
    assert.equal(await streams(), 1)
    lose()
    // The last page of the list that begins with the oldest does not show it.
    for (const page of pages) await becameLost(page)
    assert.equal(await streams(), 1)
  })

  test('stay live when the one that was opened first is closed', async (t) => {
    const { base, lose } = await aFab(t)
    const context = await aContext(t, browser)
    const [first, ...rest] = await openAll(context, Array(3).fill(`${base}/jobs`))
    for (const page of rest) await isConnected(page, /^connected$/)
    await first!.close()
    lose()
    for (const page of rest) await becameLost(page)
  })

  test('stay live when one of them is frozen', async (t) => {
    const { base, lose } = await aFab(t)
    const context = await aContext(t, browser)
    const [frozen, other] = await openAll(context, Array(2).fill(`${base}/jobs`))
    await isConnected(other!, /^connected$/)
    const devtools = await context.newCDPSession(frozen!)
    await devtools.send('Page.setWebLifecycleState', { state: 'frozen' })
    const [third] = await openAll(context, [`${base}/jobs`])
    lose()
    for (const page of [other!, third!]) await becameLost(page)
    await devtools.send('Page.setWebLifecycleState', { state: 'active' })
    await becameLost(frozen!)
  })

  test('stay live when their worker is gone', async (t) => {
    const { base, lose } = await aFab(t)
    const context = await aContext(t, browser)
    const [page] = await openAll(context, [`${base}/jobs`])
    await isConnected(page!, /^connected$/)
    const devtools = await browser.newBrowserCDPSession()
    const { targetInfos } = await devtools.send('Target.getTargets')
    const worker = targetInfos.find(({ type }) => type === 'shared_worker')
    assert.ok(worker, 'there is a worker')
    await devtools.send('Target.closeTarget', { targetId: worker.targetId })
    await isConnected(page!, /^polling$/)
    lose()
    await becameLost(page!)
  })

  test('are asked for where there are no shared workers', async (t) => {
    const { base, lose, streams } = await aFab(t)
    const context = await aContext(t, browser)
    await context.addInitScript('delete window.SharedWorker')
    const pages = await openAll(context, [`${base}/jobs`, `${base}/`])
    for (const page of pages) await isConnected(page, /^polling$/)
    assert.equal(await streams(), 0)
    lose()
    for (const page of pages) await becameLost(page)
  })

  test('are asked for where a proxy holds streams back', async (t) => {
    const { base, lose } = await aFab(t)
    const proxy = await bufferingProxy(t, base)
    const context = await aContext(t, browser)
    const [page] = await openAll(context, [`${proxy}/jobs`])
    await isConnected(page!, /^polling$/)
    lose()
    await becameLost(page!)
  })

  test('leave the stream when they are closed', async (t) => {
    const { base, streams } = await aFab(t)
    const context = await aContext(t, browser)
    const [page] = await openAll(context, [`${base}/jobs`])
    await isConnected(page!, /^connected$/)
    await context.close()
    await until('the stream to end', async () => (await streams()) === 0)
  })
})

/** Hands an answer on only once it is complete. */
async function bufferingProxy(t: TestContext, base: string): Promise<string> {
  const server = createServer((asked, answered) => {
    const { method, headers, url } = asked
    const passed = send(`${base}${url}`, { method, headers, agent: false }, (response) => {
      const chunks: Buffer[] = []
      response.on('data', (chunk: Buffer) => chunks.push(chunk))
      response.on('error', () => answered.destroy())
      response.on('end', () => {
        const { 'transfer-encoding': _, ...rest } = response.headers
        answered.writeHead(response.statusCode ?? 502, rest)
        answered.end(Buffer.concat(chunks))
      })
    })
    passed.on('error', () => answered.destroy())
    answered.on('close', () => passed.destroy())
    asked.pipe(passed)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => {
    server.close()
    server.closeAllConnections()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}
