import { Document } from '../layout.tsx'
import type { AssetUrls, Theme } from '../page.ts'

type Bare = { theme: Theme; assets: AssetUrls }

export type SignInView = Bare & {
  version: string
  /** The page to open afterwards, a path of this dashboard. */
  next: string
  /** Why the last attempt failed. */
  problem: string | undefined
  /** What the token has to allow. */
  scope: 'read' | 'operate'
}

/** Takes a token once. Says nothing about the site, because anyone may open this page. */
export function SignInPage({ theme, assets, version, next, problem, scope }: SignInView) {
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
              Paste a token with the scope {scope}. The operator of this dashboard creates one with{' '}
              <code>wafermon token new --scope {scope}</code>. This browser stays signed in while it
              is used, and for a week after that.
            </small>
          </p>
          <p>
            <small>
              <a href={next}>Already signed in? Continue</a>
            </small>
          </p>
        </form>
        <small>wafermon {version}</small>
      </main>
    </Document>
  )
}

/** Continues by itself; the link is for browsers that do not. */
export function OnwardPage({ theme, assets, here }: Bare & { here: string }) {
  return (
    <Document theme={theme} assets={assets} title="wafermon">
      <main class="sign-in" id="main">
        <p class="panel">
          <a href={here}>Continue</a>
        </p>
      </main>
    </Document>
  )
}
