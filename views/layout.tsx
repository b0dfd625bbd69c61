import { raw } from 'hono/html'
import type { Child } from 'hono/jsx'
import { zoneName } from './format.ts'
import type { AssetUrls, Page, Theme } from './page.ts'
import { Clock, Freshness } from './partials/fresh.tsx'
import { Outage } from './partials/outage.tsx'
import { withQuery } from './urls.ts'

/** Settings of htmx: no style of its own, no history, failures leave the page as it is. */
const htmxConfig = JSON.stringify({
  includeIndicatorCSS: false,
  history: false,
  noSwap: [204, 304, '4xx', '5xx'],
  morphIgnore: ['data-htmx-powered', 'open', 'aria-selected'],
  // After an outage a page is to be live again at once, not within a minute.
  sse: { reconnectMaxDelay: 4000 },
})

/** The pages there are. A page that does not exist has no link. */
const pages = [
  { name: 'Overview', path: '/' },
  { name: 'Jobs', path: '/jobs' },
  { name: 'Pipeline', path: '/pipeline' },
] as const

export type Section = (typeof pages)[number]['name']

type Props = {
  page: Page
  title: string
  section: Section | undefined
  /** Query of `/events`; without it the page is not live. */
  live?: string | undefined
  children?: Child
}

/** The frame of every page: title, top bar, content, foot. */
export function Layout({ page, title, section, live, children }: Props) {
  // A page with nothing to show asks for itself anew (see `html`): there is nothing to follow on it.
  const hasNothing = page.fresh.state === 'stale' && page.fresh.ageS === null
  return (
    <Document
      theme={page.theme}
      assets={page.assets}
      title={`${title} · ${page.site} · wafermon`}
      scripts
    >
      <a class="vh btn" href="#main">
        Skip to content
      </a>
      <Hatch />
      <TopBar page={page} section={section} />
      <main id="main" tabindex={-1}>
        {children}
      </main>
      <Outage fresh={page.fresh} now={page.now} />
      <Foot page={page} />
      {live === undefined || hasNothing ? null : (
        <div id="live" hx-sse:connect={live} hx-trigger="load, connect" hx-swap="none" />
      )}
    </Document>
  )
}

type DocumentProps = {
  theme: Theme
  assets: AssetUrls
  title: string
  scripts?: boolean
  children?: Child
}

/** What is around every page, those of the frame and those without. */
export function Document({ theme, assets, title, scripts = false, children }: DocumentProps) {
  return (
    <>
      {raw('<!doctype html>')}
      <html lang="en" {...(theme ? { 'data-theme': theme } : {})}>
        <head>
          <meta charset="utf-8" />
          <meta name="viewport" content="width=device-width, initial-scale=1" />
          <meta name="color-scheme" content="light dark" />
          <title>{title}</title>
          <link rel="icon" type="image/svg+xml" href={assets.icon} />
          <link rel="stylesheet" href={assets.css} />
          {scripts ? <Scripts assets={assets} /> : null}
        </head>
        <body>{children}</body>
      </html>
    </>
  )
}

function Scripts({ assets }: { assets: AssetUrls }) {
  return (
    <>
      <meta name="htmx-config" content={htmxConfig} />
      <script src={assets.htmx} defer />
      <script src={assets.script} defer />
    </>
  )
}

/** The hatch pattern that charts fill with, once in the page. */
function Hatch() {
  return (
    <svg class="vh" aria-hidden="true">
      <defs>
        <pattern
          id="h"
          width="6"
          height="6"
          patternUnits="userSpaceOnUse"
          patternTransform="rotate(45)"
        >
          <path d="M0 0v6" class="hl" />
        </pattern>
      </defs>
    </svg>
  )
}

function TopBar({ page, section }: { page: Page; section: Section | undefined }) {
  const link = (path: string) => withQuery(path, { site: page.siteQuery })
  return (
    <header class="top">
      <a href={link('/')}>
        <b>wafermon</b>
      </a>
      <Site page={page} />
      <nav class="main" aria-label="Main">
        {pages.map(({ name, path }) => (
          <a href={link(path)} {...(name === section ? { 'aria-current': 'page' } : {})}>
            {name}
          </a>
        ))}
      </nav>
      <span class="sp" />
      <Freshness fresh={page.fresh} now={page.now} />
      <Clock now={page.now} />
    </header>
  )
}

function Site({ page }: { page: Page }) {
  if (page.sites.length < 2) return <span>{page.site}</span>
  return (
    <details class="site">
      <summary>{page.site}</summary>
      <ul>
        {page.sites.map((site) => (
          <li>
            <a href={withQuery('/', { site })}>{site}</a>
          </li>
        ))}
      </ul>
    </details>
  )
}

const themes = [
  ['system', 'as the system'],
  ['light', 'light'],
  ['dark', 'dark'],
] as const

const keys = [
  ['/', 'to the search field'],
  ['j', 'next row'],
  ['k', 'row before'],
  ['Enter', 'open the row'],
  ['?', 'this list'],
] as const

function Foot({ page }: { page: Page }) {
  const theme = (name: string) => {
    const url = new URL(page.here, 'http://localhost')
    url.searchParams.set('theme', name)
    return url.pathname + url.search
  }
  return (
    <footer>
      <span>Times are the server's, {zoneName(page.now)}</span>
      <span>wafermon {page.version}</span>
      <span class="themes">
        Theme:
        {themes.map(([name, text]) => (
          <a
            href={theme(name)}
            {...(name === (page.theme ?? 'system') ? { 'aria-current': 'true' } : {})}
          >
            {text}
          </a>
        ))}
      </span>
      {page.signedIn === undefined ? null : (
        <form method="post" action="/sign-out">
          Signed in with token {page.signedIn}
          <button class="btn" type="submit">
            Sign out
          </button>
        </form>
      )}
      <details id="keys">
        <summary>Keyboard: press ?</summary>
        <dl class="kv">
          {keys.map(([key, does]) => (
            <>
              <dt>
                <kbd>{key}</kbd>
              </dt>
              <dd>{does}</dd>
            </>
          ))}
          <dt>Off</dt>
          <dd>
            <label>
              <input type="checkbox" id="keys-off" /> do not take single keys
            </label>
          </dd>
        </dl>
      </details>
    </footer>
  )
}
