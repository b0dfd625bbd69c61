import { raw } from 'hono/html'
import type { Child } from 'hono/jsx'
import type { AssetUrls, Page, Theme } from './page.ts'
import { Clock, Freshness, ZoneName } from './partials/fresh.tsx'
import { Outage } from './partials/outage.tsx'
import { withQuery } from './urls.ts'

/** Settings of htmx: no style of its own, no history, failures leave the page as it is. */
const htmxConfig = JSON.stringify({
  includeIndicatorCSS: false,
  history: false,
  noSwap: [204, 304, '4xx', '5xx'],
  morphIgnore: ['data-htmx-powered', 'open', 'aria-selected'],
})

type Props = {
  page: Page
  title: string
  /** The path of the entry of the navigation that the page belongs to. */
  section?: string | undefined
  /** False for a page that is not kept current. */
  live?: boolean
  children?: Child
}

/** Around the body of every page: title, top bar, foot. */
export function Layout({ page, title, section, live = false, children }: Props) {
  // A page with nothing to show reloads by itself, so it has nothing to follow: see `respond`.
  const hasNothing = page.fresh.state === 'stale' && page.fresh.ageS === null
  return (
    <Document
      theme={page.theme}
      stale={page.fresh.state === 'stale' || (page.fresh.state === 'behind' && page.fresh.whole)}
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
      {live && !hasNothing ? <div id="live" data-worker={page.assets.live} /> : null}
    </Document>
  )
}

type DocumentProps = {
  theme: Theme
  assets: AssetUrls
  title: string
  scripts?: boolean
  /** The values are the last known ones. */
  stale?: boolean
  children?: Child
}

/** The document around everything, the pages without a top bar as well. */
export function Document(props: DocumentProps) {
  const { theme, assets, title, scripts = false, stale = false, children } = props
  return (
    <>
      {raw('<!doctype html>')}
      <html
        lang="en"
        {...(theme ? { 'data-theme': theme } : {})}
        {...(stale ? { 'data-stale': '' } : {})}
      >
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
      <script src={assets.live} defer />
      <script src={assets.script} defer />
    </>
  )
}

/** The hatch pattern of the charts, once per page. */
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

function TopBar({ page, section }: { page: Page; section: string | undefined }) {
  const link = (path: string) => withQuery(path, { site: page.siteQuery })
  return (
    <header class="top">
      <a href={link('/')}>
        <b>wafermon</b>
      </a>
      <Site page={page} />
      {page.simulated ? <a href="#simulated">simulated jobs</a> : null}
      <nav class="main" aria-label="Main">
        {page.navigation.map(({ name, path }) => (
          <a href={link(path)} {...(path === section ? { 'aria-current': 'page' } : {})}>
            {name}
          </a>
        ))}
      </nav>
      <span class="sp" />
      <Freshness fresh={page.fresh} plant={page.plant} now={page.now} />
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
  ['system', 'system'],
  ['light', 'light'],
  ['dark', 'dark'],
] as const

const keys = [
  ['/', 'search'],
  ['j', 'next row'],
  ['k', 'previous row'],
  ['Enter', 'open the row'],
  ['?', 'this list'],
  ['Esc', 'close this list'],
] as const

function Foot({ page }: { page: Page }) {
  const theme = (name: string) => {
    const url = new URL(page.here, 'http://localhost')
    url.searchParams.set('theme', name)
    return url.pathname + url.search
  }
  return (
    <footer>
      <ZoneName now={page.now} />
      <span>wafermon {page.version}</span>
      {page.simulated ? <Simulated /> : null}
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
      <button class="btn" type="button" popovertarget="keys">
        Keyboard shortcuts: press ?
      </button>
      <Keys />
    </footer>
  )
}

function Simulated() {
  return (
    <span id="simulated">
      These jobs are simulated, those of the time before the first start too. To see only your own,
      start in a new folder: <code>wafermon up --no-simulate --dir FOLDER</code>
    </span>
  )
}

/** Opens over the page, and Escape returns to where the reader was, both by the browser. */
function Keys() {
  return (
    <div id="keys" class="panel" popover="auto" role="dialog" aria-labelledby="keys-title">
      <h2 id="keys-title">Keyboard shortcuts</h2>
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
            <input type="checkbox" id="keys-off" /> disable these shortcuts
          </label>
        </dd>
      </dl>
      <button class="btn" type="button" popovertarget="keys" popovertargetaction="hide" autofocus>
        Close
      </button>
    </div>
  )
}
