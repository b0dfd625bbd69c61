import assert from 'node:assert/strict'
import { after, before, describe, type TestContext, test } from 'node:test'
import fc from 'fast-check'
import type { Browser } from 'playwright-core'
import { fromMs } from '../../src/core/time.ts'
import { needsBrowser, openBrowser, openPage, picture } from '../support/browser.ts'
import { pageNames, pagePaths } from '../support/dashboard-pages.ts'
import { startFakeApi } from '../support/fake-api.ts'
import { hostileTexts, hostileWorld } from '../support/hostile.ts'
import { layoutFaults, listWideTables } from '../support/layout-faults.ts'
import { startWebFor } from '../support/web.ts'
import { runs } from '../support/wild.ts'

/* Text from outside, of any length and any script, on every page. */

const widths = [390, 1280, 1920]
const now = () => fromMs(Date.now())

async function aHostileFab(t: TestContext, texts: readonly string[]) {
  const { world, lot } = hostileWorld(texts, now)
  const api = await startFakeApi(t, world)
  const site = `fab1${'x'.repeat(60)}`
  for (const job of [...world.jobs, ...world.subjobs]) job.siteId = site
  const { url: base } = await startWebFor(t, api.url, { DEFAULT_SITE: site })
  const [first = '', second = ''] = texts
  const query = new URLSearchParams({ q: first.slice(0, 200), app: second.slice(0, 200) })
  const paths = [
    ...pagePaths({ id: lot.id }).map((path, i) => [pageNames[i] ?? path, path]),
    ['filtered', `/jobs?${query}`],
    ['unknown', `/${encodeURIComponent('no such page '.repeat(20))}`],
    ['sign-in', `/sign-in?next=${encodeURIComponent(`/${first}`)}`],
  ] as [name: string, path: string][]
  return { base, paths, world }
}

describe('text from outside', needsBrowser, () => {
  let browser: Browser
  before(async () => {
    browser = await openBrowser()
  })
  after(() => browser?.close())

  test('widens, hides and breaks no page, and every row opens', async (t) => {
    await fc.assert(
      fc.asyncProperty(hostileTexts, async (texts) => {
        const { base, paths, world } = await aHostileFab(t, texts)
        const { page, watch } = await openPage(t, browser, base)
        for (const [name, path] of paths) {
          await page.goto(base + path)
          for (const width of widths) {
            await page.setViewportSize({ width, height: 900 })
            await picture(page, `hostile-${name}-${width}`)
            const faults = await page.evaluate(layoutFaults)
            assert.deepEqual({ name, width, faults }, { name, width, faults: [] })
            // Half a page for each table: the names leave room for the errors.
            if (name !== 'overview') continue
            const wide = await page.evaluate(listWideTables)
            assert.deepEqual({ name, width, wide }, { name, width, wide: [] })
          }
        }
        for (const { id } of [...world.jobs, ...world.subjobs]) {
          assert.equal((await fetch(`${base}/jobs/${id}`)).status, 200)
        }
        // A page that answers 404 or 422 is an error on the console, and nothing else is.
        const errors = watch.errors.filter((text) => !/status of (404|422)/.test(text))
        assert.deepEqual({ ...watch, errors }, { elsewhere: [], errors: [] })
        await page.context().close()
      }),
      // A smaller example is worth less than the minutes that the browser takes to find it.
      { numRuns: runs(2), endOnFailure: true, seed: Number(process.env.SEED ?? 20_261_127) },
    )
  })
})
