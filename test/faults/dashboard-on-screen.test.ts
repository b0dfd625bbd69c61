import assert from 'node:assert/strict'
import { after, before, describe, type TestContext, test } from 'node:test'
import { AxeBuilder } from '@axe-core/playwright'
import type { Browser, Page } from 'playwright-core'
import { fromMs } from '../../src/core/time.ts'
import { emptyWorld } from '../support/array-reader.ts'
import { needsBrowser, openBrowser, openPage, picture } from '../support/browser.ts'
import { pageNames, pagePaths } from '../support/dashboard-pages.ts'
import { startFakeApi } from '../support/fake-api.ts'
import { addLot, aJob, fillShift, idOf, someSources } from '../support/sample-jobs.ts'
import { fewer } from '../support/short-form.ts'
import { startWebFor } from '../support/web.ts'

const now = () => fromMs(Date.now())

async function aFab(t: TestContext, { jobs = 700 } = {}) {
  const world = emptyWorld(now)
  fillShift(world, now(), jobs)
  const lot = addLot(world, now())
  world.sources = someSources(now())
  const api = await startFakeApi(t, world)
  const web = await startWebFor(t, api.url)
  return { world, lot, api, base: web.url, web }
}

/** A running job that starts now, with a key of its own. */
const newcomer = (jobKey: string, changes: Parameters<typeof aJob>[0] = {}) => {
  const at = now()
  return aJob({
    id: idOf(`new ${jobKey}`),
    jobKey,
    status: 'running',
    startedAt: at,
    insertedAt: at,
    updatedAt: at,
    lastEventAt: at,
    ...changes,
  })
}

/** Waits until the page follows the API; fails with what it shows instead. */
async function live(page: Page): Promise<void> {
  const link = page.locator('#link')
  await link
    .filter({ hasText: /^connected/ })
    .waitFor({ timeout: 15_000 })
    .catch(async () => {
      assert.match(await page.locator('#fresh').innerText(), /connected/)
    })
}

/** Every page by the name of its picture, and a list without a row. */
const checkedPages = (lot: string): [name: string, path: string][] => [
  ...pagePaths({ id: lot }).map((path, i): [string, string] => [pageNames[i] ?? path, path]),
  ['empty', '/jobs?flag=late&q=nothing'],
]

describe('the dashboard in a browser', needsBrowser, () => {
  let browser: Browser
  before(async () => {
    browser = await openBrowser()
  })
  after(() => browser?.close())

  for (const colorScheme of fewer(['light', 'dark'] as const, 2)) {
    test(`contacts no other machine, breaks no policy, has no axe finding (${colorScheme})`, async (t) => {
      const { base, lot } = await aFab(t)
      for (const [name, path] of checkedPages(lot.id)) {
        const { page, watch } = await openPage(t, browser, base, { colorScheme })
        await page.goto(base + path, { waitUntil: 'load' })
        await live(page)
        await picture(page, `${name}-${colorScheme}-1280`)
        const { violations } = await new AxeBuilder({ page })
          .withTags(['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'])
          .analyze()
        const found = violations.map(
          ({ id, nodes }) => `${id}: ${nodes[0]?.html} ${nodes[0]?.failureSummary}`,
        )
        assert.deepEqual({ name, found, ...watch }, { name, found: [], elsewhere: [], errors: [] })
        await page.setViewportSize({ width: 1920, height: 1080 })
        await picture(page, `${name}-${colorScheme}-1920`)
      }
    })
  }

  test('does not scroll sideways at 390 px', async (t) => {
    const { base, lot } = await aFab(t)
    const phone = { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true }
    for (const [name, path] of checkedPages(lot.id)) {
      const { page } = await openPage(t, browser, base, phone)
      await page.goto(base + path)
      const width = await page.evaluate('document.documentElement.scrollWidth')
      await picture(page, `${name}-light-390`)
      assert.deepEqual({ name, width }, { name, width: 390 })
    }
  })

  test('shows a change of a row, and counts new ones, without a reload', async (t) => {
    const { base, api, world } = await aFab(t, { jobs: 150 })
    const { page, watch } = await openPage(t, browser, base)
    await page.goto(`${base}/jobs`)
    await live(page)
    await page.evaluate('window.same = true')

    const running = world.jobs.find(({ status }) => status === 'running')!
    api.put(
      { ...running, status: 'failed', durationS: 12, lastError: 'stage hangs', updatedAt: now() },
      'error',
    )
    const row = page.locator(`#job-${running.id}`)
    await row.getByText('stage hangs').waitFor({ timeout: 15_000 })
    assert.match(await row.innerText(), /failed/)

    const first = await page.locator('tbody tr').first().getAttribute('id')
    api.put(newcomer('L26N9001.1'))
    api.put(newcomer('L26N9002.1'))
    await page.getByText('2 new: show').waitFor({ timeout: 15_000 })
    assert.equal(await page.locator('tbody tr').first().getAttribute('id'), first)
    assert.equal(await page.evaluate('window.same'), true)
    await picture(page, 'jobs-live-new')

    await page.getByText('2 new: show').click()
    await page.getByRole('link', { name: 'L26N9001.1' }).waitFor({ timeout: 15_000 })
    assert.deepEqual(watch, { elsewhere: [], errors: [] })
  })

  test('keeps its values and gives their age when the API is down', async (t) => {
    const { base, api } = await aFab(t, { jobs: 60 })
    const { page } = await openPage(t, browser, base)
    await page.goto(`${base}/jobs`)
    await live(page)
    await api.stop()
    await page.getByText(/^stale, /).waitFor({ timeout: 30_000 })
    assert.equal(await page.locator('tbody tr').count(), 61)
    // An answer of a moment ago is still current: the outage shows with the first question that fails.
    const banner = page.getByText('These are the last known values.')
    const deadline = Date.now() + 20_000
    do await page.reload()
    while (!(await banner.isVisible()) && Date.now() < deadline)
    assert.equal(await page.locator('tbody tr').count(), 61)
    await picture(page, 'jobs-stale')
    await page.goto(`${base}/pipeline`)
    await picture(page, 'pipeline-no-answer')
  })

  test('filters, pages and changes its theme without JavaScript', async (t) => {
    const { base } = await aFab(t)
    const { page } = await openPage(t, browser, base, { javaScriptEnabled: false })
    await page.goto(`${base}/jobs`)
    for (const status of ['running', 'succeeded', 'canceled']) {
      await page.getByRole('checkbox', { name: status }).uncheck()
    }
    await page.getByRole('combobox', { name: 'App' }).selectOption('recipe-download')
    await page.getByRole('button', { name: 'Apply' }).click()
    await page.waitForURL(/status=failed/)
    const words = await page.locator('tbody tr td:first-child').allInnerTexts()
    assert.ok(words.length > 5)
    assert.deepEqual([...new Set(words)], ['failed'])

    await page.goto(`${base}/jobs`)
    const first = await page.locator('tbody tr').first().getAttribute('id')
    await page.getByRole('link', { name: 'Older' }).click()
    await page.waitForURL(/after=/)
    assert.notEqual(await page.locator('tbody tr').first().getAttribute('id'), first)
    await page.getByRole('link', { name: 'Newer' }).click()
    await page.waitForURL(/before=/)
    assert.equal(await page.locator('tbody tr').first().getAttribute('id'), first)

    await page.getByRole('link', { name: 'dark' }).click()
    assert.equal(await page.locator('html').getAttribute('data-theme'), 'dark')
    await page.goto(`${base}/`)
    assert.equal(await page.locator('html').getAttribute('data-theme'), 'dark')
  })

  test('shows every page without JavaScript', async (t) => {
    const { base, lot } = await aFab(t, { jobs: 30 })
    const { page, watch } = await openPage(t, browser, base, { javaScriptEnabled: false })
    for (const [name, path] of checkedPages(lot.id)) {
      await page.goto(base + path)
      assert.ok(await page.locator('h1').isVisible(), name)
      assert.ok(await page.locator('nav.main [aria-current]').isVisible(), name)
    }
    assert.deepEqual(watch, { elsewhere: [], errors: [] })
  })

  test('has keyboard shortcuts', async (t) => {
    const { base } = await aFab(t, { jobs: 30 })
    const { page } = await openPage(t, browser, base)
    await page.goto(`${base}/jobs`)
    await page.keyboard.press('j')
    await page.keyboard.press('j')
    await page.keyboard.press('k')
    await page.keyboard.press('j')
    const rows = page.locator('tbody tr')
    assert.equal(await rows.nth(1).getAttribute('aria-selected'), 'true')
    const id = (await rows.nth(1).getAttribute('id'))!.replace('job-', '')
    await page.keyboard.press('/')
    await page.keyboard.type('j')
    assert.equal(await page.locator('#search').inputValue(), 'j')
    await page.keyboard.press('Escape')
    await page.keyboard.press('k')
    await page.keyboard.press('j')
    await page.keyboard.press('Enter')
    await page.waitForURL(`${base}/jobs/${id}`)
  })

  test('shows the shortcuts where the reader is, and Escape returns there', async (t) => {
    const { base } = await aFab(t, { jobs: 60 })
    const { page } = await openPage(t, browser, base)
    await page.goto(`${base}/jobs`)
    const link = page.locator('tbody tr .k a').nth(20)
    await link.focus()
    const place = () => page.evaluate('[scrollY, document.activeElement.href]')
    const before = await place()
    const keys = page.locator('#keys')
    await page.keyboard.press('?')
    await keys.waitFor({ state: 'visible' })
    await picture(page, 'keys')
    await page.keyboard.press('Escape')
    await keys.waitFor({ state: 'hidden' })
    assert.deepEqual(await place(), before)
    await page.getByRole('button', { name: 'Keyboard shortcuts' }).click()
    const { violations } = await new AxeBuilder({ page }).include('#keys').analyze()
    assert.deepEqual(violations, [])
    await keys.getByRole('button', { name: 'Close' }).click()
    await keys.waitFor({ state: 'hidden' })
  })

  test('keeps the entries of its menu apart at 400 % zoom', async (t) => {
    const { base } = await aFab(t, { jobs: 20 })
    // What is left of 1280 by 800.
    const { page } = await openPage(t, browser, base, { viewport: { width: 320, height: 200 } })
    await page.goto(`${base}/jobs`)
    await picture(page, 'zoom-400')
    const gaps = await page.evaluate(`(() => {
      const rects = [...document.querySelectorAll('nav.main a')].map((link) => {
        const range = document.createRange()
        range.selectNodeContents(link)
        return range.getBoundingClientRect()
      })
      return rects.slice(1).map(({ left, top }, i) => top > rects[i].bottom ? 99 : left - rects[i].right)
    })()`)
    assert.ok(
      (gaps as number[]).length > 0 && (gaps as number[]).every((gap) => gap >= 8),
      `${gaps}`,
    )
  })

  test('names the subjobs of its timeline in full', async (t) => {
    const { base, world, lot } = await aFab(t, { jobs: 20 })
    const subKey = 'chamber-A-preclean-17'
    const at = lot.startedAt
    world.subjobs.push(
      aJob({ id: idOf('named'), parentId: lot.id, entityType: 'subjob', subKey, startedAt: at }),
    )
    for (const width of [390, 1280]) {
      const { page } = await openPage(t, browser, base, { viewport: { width, height: 800 } })
      await page.goto(`${base}/jobs/${lot.id}`)
      const name = page.locator('.gantt span.cut').filter({ hasText: subKey })
      const [inner, outer] = await name.evaluate((one) => {
        const { scrollWidth, clientWidth } = one as unknown as Record<string, number>
        return [scrollWidth, clientWidth]
      })
      assert.equal(inner, outer, 'nothing is cut off')
      const lefts = await page
        .locator('.gantt svg.g')
        .evaluateAll((bars) =>
          bars.map(
            (bar) =>
              (
                bar as unknown as { getBoundingClientRect(): { left: number } }
              ).getBoundingClientRect().left,
          ),
        )
      assert.equal(new Set(lefts).size, 1, 'all bars begin at the same place')
    }
  })

  test('shows on a wall of 4K what it shows at 1080p, twice as large', async (t) => {
    const { base } = await aFab(t, { jobs: 100 })
    const sizes = []
    for (const [width, height] of [
      [1920, 1080],
      [3840, 2160],
    ] as const) {
      const { page } = await openPage(t, browser, base, { viewport: { width, height } })
      await page.goto(base)
      await picture(page, `wall-${width}`)
      sizes.push(
        await page.evaluate(
          '[document.querySelector("h1").offsetTop, document.querySelector(".card").offsetWidth, parseFloat(getComputedStyle(document.body).fontSize)]',
        ),
      )
    }
    const [small, large] = sizes as [number[], number[]]
    for (const [i, size] of small.entries()) assert.ok(Math.abs(large[i]! / size - 2) < 0.02)
  })

  test('updates a job page as its events arrive', async (t) => {
    const { base, api, lot } = await aFab(t, { jobs: 20 })
    const { page, watch } = await openPage(t, browser, base)
    await page.goto(`${base}/jobs/${lot.id}`)
    await live(page)
    await page.getByText('All 25 as a table').click()
    api.put(
      { ...lot, status: 'canceled', stuck: false, durationS: 3000, updatedAt: now() },
      'canceled',
    )
    await page.locator('.head .st.can').waitFor({ timeout: 15_000 })
    assert.equal(await page.locator('#subjobs').getAttribute('open'), '')
    assert.deepEqual(watch, { elsewhere: [], errors: [] })
  })
})
