import { existsSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core'

const executablePath = '/usr/bin/chromium'

/** Says why a browser test did not run, rather than passing in silence. */
export const needsBrowser = {
  skip: existsSync(executablePath)
    ? false
    : `${executablePath} is missing: apt-get install --no-install-recommends chromium`,
}

const args = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
]

/** A browser of its own, closed when the test is over. */
export async function openBrowser(): Promise<Browser> {
  return chromium.launch({ executablePath, headless: true, args })
}

/** The violations of a page. */
export type Watch = { elsewhere: string[]; errors: string[] }

/** A page in a context of its own, watched for requests to elsewhere and for what its console says. */
export async function openPage(
  t: TestContext,
  browser: Browser,
  base: string,
  options: BrowserContextOptions = {},
): Promise<{ page: Page; watch: Watch }> {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, ...options })
  t.after(() => context.close())
  const page = await context.newPage()
  const watch: Watch = { elsewhere: [], errors: [] }
  page.on('request', (request) => {
    if (!request.url().startsWith(`${base}/`)) watch.elsewhere.push(request.url())
  })
  page.on('pageerror', (error) => watch.errors.push(error.message))
  page.on('console', (message) => {
    // A refusal by the content security policy is an error on the console, and nothing else.
    if (message.type() === 'error') watch.errors.push(message.text())
  })
  return { page, watch }
}

/** Keeps a picture for people when SCREENSHOTS names a folder. */
export async function picture(page: Page, name: string): Promise<void> {
  const folder = process.env.SCREENSHOTS
  if (!folder) return
  await mkdir(folder, { recursive: true })
  await page.screenshot({ path: join(folder, `${name}.png`) })
}
