import { Document } from '../layout.tsx'
import type { AssetUrls, Theme } from '../page.ts'

type Bare = { theme: Theme; assets: AssetUrls }

export type SignInView = Bare & {
  version: string
  /** Where to go on to; a path of ours. */
  next: string
  /** Why it did not work just now. */
  problem: string | undefined
}

/** Where a browser shows its token once. Says nothing of the site: everybody may see this page. */
export function SignInPage({ theme, assets, version, next, problem }: SignInView) {
  return (
    <Document theme={theme} assets={assets} title="Sign in · wafermon">
      <main class="sign-in" id="main">
        <form class="panel" method="post" action="/sign-in">
          <h1>wafermon</h1>
          {problem === undefined ? null : (
            <p class="banner" role="alert">
              <b>{problem}</b>
            </p>
          )}
          <input type="hidden" name="next" value={next} />
          <label>
            <span>Token</span>
            <input
              type="password"
              name="token"
              required
              autofocus
              autocomplete="current-password"
              spellcheck={false}
              placeholder="wfm_…"
              aria-describedby="token-help"
            />
          </label>
          <button class="btn go" type="submit">
            Sign in
          </button>
          <p id="token-help">
            <small>
              Paste a token with scope read. Whoever runs this dashboard makes one with{' '}
              <code>wafermon token new --scope read</code>. This browser then stays signed in while
              it is used, and for a week after.
            </small>
          </p>
          <p>
            <small>
              <a href={next}>Signed in already? Go on</a>
            </small>
          </p>
        </form>
        <small>wafermon {version}</small>
      </main>
    </Document>
  )
}

/** Leads on by itself; the link is for browsers that do not. */
export function OnwardPage({ theme, assets, here }: Bare & { here: string }) {
  return (
    <Document theme={theme} assets={assets} title="wafermon">
      <main class="sign-in" id="main">
        <p class="panel">
          <a href={here}>Go on</a>
        </p>
      </main>
    </Document>
  )
}
