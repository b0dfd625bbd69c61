import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import type { Browser } from 'playwright-core'
import { needsBrowser, openBrowser, openPage } from '../support/browser.ts'
import { until } from '../support/processes.ts'
import { startSite } from '../support/site.ts'
import { run } from '../support/store.ts'
import { startWebFor } from '../support/web.ts'
import { postEvents, startOfJob } from '../support/wire-events.ts'

const patient = { timeout: 40_000 }

describe('the pipeline page of a real site', needsBrowser, () => {
  let browser: Browser
  before(async () => {
    browser = await openBrowser()
  })
  after(() => browser?.close())

  test('learns while it is open that a sidecar stands still, and that it is back', async (t) => {
    const { sidecar, api, store } = await startSite(t)
    const web = await startWebFor(t, api.url)
    const { page } = await openPage(t, browser, web.url)
    await page.goto(`${web.url}/pipeline`)
    await page.getByText('1 of 1 reporting').waitFor(patient)
    sidecar.child.kill('SIGSTOP')
    t.after(() => sidecar.child.kill('SIGCONT'))
    // Only a process that runs could set it again.
    await run(store, `update source_state set heard_at = heard_at - interval '31 seconds'`)
    await page.getByText('0 of 1 reporting').waitFor(patient)
    await page
      .getByText(/^silent for /)
      .first()
      .waitFor(patient)
    assert.equal(await page.getByText('All that run report').count(), 0)
    const jobs = await browser.newPage()
    t.after(() => jobs.close())
    await jobs.goto(`${web.url}/jobs`)
    await jobs.getByText(/ is silent$/).waitFor(patient)
    sidecar.child.kill('SIGCONT')
    await page.getByText('1 of 1 reporting').waitFor(patient)
  })

  test('accepts a loss, with a reason, and shows it no more', async (t) => {
    const { api, store } = await startSite(t)
    const stamped = (seq: number) => ({
      ...startOfJob(),
      received_at: new Date().toISOString(),
      source: { id: 'bn-07', epoch: 'e1', seq },
    })
    await postEvents(api.url, [stamped(1), stamped(5)], ':batch')
    await run(store, `update source set lag_s = 0 where source_id = 'bn-07'`)
    const web = await startWebFor(t, api.url)
    const { page } = await openPage(t, browser, web.url)
    await page.goto(`${web.url}/pipeline`)
    await page
      .getByRole('link', { name: /Accept the loss of bn-07/ })
      .first()
      .click()
    await page.getByLabel('Reason').fill('disk of node 7 was replaced')
    await page.getByLabel('Your name').fill('Kim')
    await page.getByRole('button', { name: 'Accept the loss' }).click()
    await page.waitForURL(`${web.url}/pipeline`)
    await until('the page to show none', async () => {
      await page.reload()
      return (await page.getByText('none known', { exact: true }).count()) === 1
    })
    const [entry] = await run(store, 'select actor, reason, object from audit')
    assert.equal(entry?.reason, 'disk of node 7 was replaced')
    assert.match(String(entry?.actor), /^anonymous, .*, says “Kim”$/)
  })
})
