import assert from 'node:assert/strict'
import { after, before, describe, type TestContext, test } from 'node:test'
import type { Browser, Page } from 'playwright-core'
import { fromMs } from '../../src/core/time.ts'
import { emptyWorld } from '../support/array-reader.ts'
import { needsBrowser, openBrowser, openPage, picture } from '../support/browser.ts'
import { pagePaths } from '../support/dashboard-pages.ts'
import { startFakeApi } from '../support/fake-api.ts'
import { addLot, aJob, fillShift, idOf, someSources } from '../support/sample-jobs.ts'
import { startWebFor } from '../support/web.ts'

/* Pages while they change, and without color, screen or other machines. */

const now = () => fromMs(Date.now())
const patient = { timeout: 20_000 }
const paths = (lot: string) => [...pagePaths({ id: lot }), '/jobs?flag=stuck']

async function aFab(t: TestContext, jobs = 150) {
  const world = emptyWorld(now)
  fillShift(world, now(), jobs)
  const lot = addLot(world, now())
  world.sources = someSources(now())
  const api = await startFakeApi(t, world)
  const { url: base } = await startWebFor(t, api.url)
  return { world, lot, api, base }
}

const isLive = (page: Page) =>
  page
    .locator('#fresh')
    .filter({ hasText: /(?<!not )connected$/ })
    .waitFor(patient)

describe('a page of the dashboard', needsBrowser, () => {
  let browser: Browser
  before(async () => {
    browser = await openBrowser()
  })
  after(() => browser?.close())

  test('keeps focus, selection and position while rows are replaced and new ones arrive', async (t) => {
    const { base, api, world } = await aFab(t)
    const { page } = await openPage(t, browser, base)
    await page.goto(`${base}/jobs`)
    await isLive(page)
    const running = world.jobs.filter(({ status }) => status === 'running').at(-2)!
    const link = page.locator(`#job-${running.id} .k a`)
    await link.focus()
    const before = await link.boundingBox()
    const at = now()
    api.put({ ...running, lastError: 'swapped', updatedAt: at, lastEventAt: at })
    const times = { startedAt: at, insertedAt: at, updatedAt: at, lastEventAt: at }
    api.put(aJob({ id: idOf('new'), jobKey: 'NEW', status: 'running', ...times }))
    await page.locator(`#job-${running.id}`).getByText('swapped').waitFor(patient)
    await page.getByText('1 new: show').waitFor(patient)
    const focused = await page.evaluate('document.activeElement.closest("tr").id')
    assert.equal(focused, `job-${running.id}`)
    assert.deepEqual(await link.boundingBox(), before)
  })

  test('has no broken links', async (t) => {
    const { base, lot } = await aFab(t, 30)
    const { page } = await openPage(t, browser, base)
    const seen = new Set<string>()
    for (const path of paths(lot.id)) {
      await page.goto(base + path)
      const hrefs = await page
        .locator('a[href]')
        .evaluateAll((links) => links.map((link) => (link as unknown as { href: string }).href))
      for (const href of hrefs) if (href.startsWith(base)) seen.add(href)
    }
    assert.ok(seen.size > 30)
    for (const href of seen) {
      const { status } = await fetch(href)
      assert.equal(status, 200, href)
    }
  })

  test('is complete while every other machine is unreachable', async (t) => {
    const { base, lot } = await aFab(t, 30)
    for (const path of paths(lot.id)) {
      const { page, watch } = await openPage(t, browser, base)
      await page.route(
        (url) => !url.href.startsWith(`${base}/`),
        (route) => route.abort(),
      )
      await page.goto(base + path)
      await isLive(page)
      assert.equal(await page.evaluate('document.styleSheets.length'), 1)
      assert.deepEqual({ path, ...watch }, { path, elsewhere: [], errors: [] })
    }
  })

  test('distinguishes states with only the colors of the system', async (t) => {
    const { base } = await aFab(t)
    const { page } = await openPage(t, browser, base, { forcedColors: 'active' })
    await page.goto(`${base}/jobs`)
    await picture(page, 'forced-colors-jobs')
    const shapes = await page.locator('tbody .st').evaluateAll((badges) =>
      badges.map((badge) => {
        const { getComputedStyle: style } = globalThis as unknown as {
          getComputedStyle(of: unknown, part?: string): Record<string, string>
        }
        const before = style(badge, '::before')
        return `${badge.textContent} ${before.clipPath} ${before.backgroundColor !== style(badge).backgroundColor}`
      }),
    )
    const chosen = await page.locator('.seg [aria-current]').evaluate((one) => {
      const style = (
        globalThis as unknown as { getComputedStyle(of: unknown): { backgroundColor: string } }
      ).getComputedStyle
      return (
        style(one).backgroundColor ===
        style((one as unknown as { nextSibling: unknown }).nextSibling).backgroundColor
      )
    })
    assert.equal(chosen, false, 'the chosen window differs from the others')
    const words = new Map(shapes.map((shape) => [shape.split(' ')[0], shape]))
    assert.ok(words.size >= 3)
    assert.equal(new Set(words.values()).size, words.size)
    for (const shape of words.values()) assert.match(shape, / true$/, 'the mark can be seen')
  })

  test('prints its values without its controls', async (t) => {
    const { base, lot } = await aFab(t, 30)
    const { page } = await openPage(t, browser, base, { viewport: { width: 1040, height: 800 } })
    await page.emulateMedia({ media: 'print' })
    for (const path of ['/jobs', `/jobs/${lot.id}`]) {
      await page.goto(base + path)
      await picture(page, `print${path.slice(0, 6).replaceAll('/', '-')}`)
      for (const control of ['nav.main', 'form', '.btn', '.themes', '#keys']) {
        const shown = await page
          .locator(control)
          .evaluateAll(
            (all) =>
              all.filter((one) => (one as unknown as { offsetParent: unknown }).offsetParent)
                .length,
          )
        assert.equal(shown, 0, control)
      }
      assert.ok(await page.locator('h1').isVisible())
      assert.ok(
        await page
          .getByText(/UTC|CET|\d\d:\d\d/)
          .first()
          .isVisible(),
      )
    }
  })

  test('weighs less than 100 kB with a hundred rows', async (t) => {
    const { base } = await aFab(t, 300)
    const whole = await fetch(`${base}/jobs`, { headers: { 'accept-encoding': 'identity' } })
    const html = await whole.text()
    assert.equal(html.match(/<tr id="job-/g)?.length, 100)
    assert.ok(html.length < 100_000, `${html.length} bytes`)
  })

  test('can be used by keyboard alone, with a visible focus', async (t) => {
    const { base } = await aFab(t, 20)
    const { page } = await openPage(t, browser, base)
    await page.goto(`${base}/jobs`)
    const reached = new Set<string>()
    for (let i = 0; i < 120; i++) {
      await page.keyboard.press('Tab')
      const [what, outline] = (await page.evaluate(`(() => {
        const one = document.activeElement
        if (one === document.body) return ['', '']
        const name = one.closest('tr')?.id || one.name || one.textContent.trim().slice(0, 20)
        return [name, getComputedStyle(one).outlineStyle]
      })()`)) as [string, string]
      // After the last element comes the first again.
      if (what === '') break
      assert.notEqual(outline, 'none', `the focus on ${what} can be seen`)
      reached.add(what)
    }
    for (const name of ['Skip to content', 'Overview', 'status', 'flag', 'q', 'Apply', 'CSV']) {
      assert.ok(reached.has(name), `${name} is reached`)
    }
    assert.ok([...reached].some((name) => name.startsWith('job-')))
  })
})
