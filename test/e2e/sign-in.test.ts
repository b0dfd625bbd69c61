import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { after, before, describe, type TestContext, test } from 'node:test'
import { AxeBuilder } from '@axe-core/playwright'
import type { Browser, Page } from 'playwright-core'
import { fromMs } from '../../src/core/time.ts'
import { listTokens, makeToken, revokeToken } from '../../src/tools/token.ts'
import { emptyWorld } from '../support/array-reader.ts'
import { needsBrowser, openBrowser, openPage, picture } from '../support/browser.ts'
import { startFakeApi } from '../support/fake-api.ts'
import { freshFolder } from '../support/processes.ts'
import { fillShift } from '../support/sample-jobs.ts'
import { startWebFor } from '../support/web.ts'

const now = () => fromMs(Date.now())

/** A dashboard that needs a token, and the token. */
async function guarded(t: TestContext) {
  const world = emptyWorld(now)
  fillShift(world, now(), 30)
  const api = await startFakeApi(t, world)
  const file = join(freshFolder(), 'tokens')
  const token = makeToken(file, ['read'])
  const web = await startWebFor(t, api.url, { TOKENS_FILE: file })
  return { base: web.url, token, revoke: () => revokeToken(file, listTokens(file)[0]!.id) }
}

async function signIn(page: Page, token: string): Promise<void> {
  await page.getByLabel('Token').fill(token)
  await page.getByRole('button', { name: 'Sign in' }).click()
}

/** A page of another site with one link, as a mail or a chat shows it. */
async function pageElsewhere(t: TestContext, href: string): Promise<string> {
  const server = createServer((_, answer) => {
    answer.setHeader('content-type', 'text/html')
    answer.end(`<!doctype html><title>mail</title><a href="${href}">look</a>`)
  }).listen(0, '127.0.0.1')
  await new Promise((done) => server.once('listening', done))
  t.after(() => server.close())
  // Another name for the same machine is another site.
  return `http://localhost:${(server.address() as AddressInfo).port}/`
}

describe('signing in with a browser', needsBrowser, () => {
  let browser: Browser
  before(async () => {
    browser = await openBrowser()
  })
  after(() => browser?.close())

  for (const javaScriptEnabled of [true, false]) {
    test(`leads back to the page asked for, and out again (script: ${javaScriptEnabled})`, async (t) => {
      const { base, token } = await guarded(t)
      const { page, watch } = await openPage(t, browser, base, { javaScriptEnabled })
      await page.goto(`${base}/jobs?status=failed`)
      assert.match(page.url(), /\/sign-in\?next=/)
      await signIn(page, 'wfm_not_this_one')
      await page.getByText('Unknown token').waitFor()
      // The browser notes the 401 on its console; that is not a fault.
      watch.errors.length = 0
      await signIn(page, token)
      await page.waitForURL(`${base}/jobs?status=failed`)
      await page.getByRole('button', { name: 'Sign out' }).click()
      await page.waitForURL(`${base}/sign-in`)
      await page.goto(`${base}/pipeline`)
      assert.match(page.url(), /\/sign-in\?next=/)
      assert.deepEqual(watch, { elsewhere: [], errors: [] })
    })
  }

  test('makes the page live until the token is revoked, and the page says so', async (t) => {
    const { base, token, revoke } = await guarded(t)
    const { page } = await openPage(t, browser, base)
    await page.goto(`${base}/jobs`)
    await signIn(page, token)
    await page
      .locator('#fresh')
      .filter({ hasText: /(?<!not )connected$/ })
      .waitFor({ timeout: 20_000 })
    assert.equal(await page.evaluate('document.cookie'), '')
    revoke()
    const link = page.getByRole('link', { name: 'Not live: sign in again' })
    await link.waitFor({ timeout: 30_000 })
    assert.ok((await page.locator('tbody tr').count()) > 0)
    await link.click()
    await page.waitForURL(/\/sign-in\?next=%2Fjobs$/)
  })

  test('also holds for links from other sites', async (t) => {
    const { base, token } = await guarded(t)
    const { page } = await openPage(t, browser, base)
    await page.goto(`${base}/`)
    await signIn(page, token)
    await page.getByRole('heading', { name: 'Overview' }).waitFor()
    await page.goto(await pageElsewhere(t, `${base}/jobs?q=L26`))
    await page.getByRole('link', { name: 'look' }).click()
    await page.getByRole('heading', { name: 'Jobs' }).waitFor({ timeout: 20_000 })
    assert.equal(page.url(), `${base}/jobs?q=L26`)
  })

  for (const colorScheme of ['light', 'dark'] as const) {
    test(`has no axe finding and fits a phone (${colorScheme})`, async (t) => {
      const { base } = await guarded(t)
      const { page } = await openPage(t, browser, base, { colorScheme })
      await page.goto(`${base}/jobs`)
      await picture(page, `sign-in-${colorScheme}-1280`)
      const { violations } = await new AxeBuilder({ page }).analyze()
      assert.deepEqual(
        violations.map(({ id, nodes }) => `${id}: ${nodes[0]?.html}`),
        [],
      )
      await page.setViewportSize({ width: 390, height: 844 })
      assert.equal(await page.evaluate('document.documentElement.scrollWidth'), 390)
      await picture(page, `sign-in-${colorScheme}-390`)
    })
  }
})
