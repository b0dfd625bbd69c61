import assert from 'node:assert/strict'
import type { Page } from 'playwright-core'

/** Waits until the page is connected in one of these words; fails with what it says instead. */
export async function isConnected(page: Page, word = /^(connected|polling)$/): Promise<void> {
  const link = page.locator('#link').filter({ hasText: word })
  await link.waitFor({ timeout: 20_000 }).catch(async () => {
    assert.match(await page.locator('#fresh').innerText(), word)
  })
}
