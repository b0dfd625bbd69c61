import { createHash } from 'node:crypto'
import { Hono } from 'hono'
import htmx from 'htmx.org/dist/htmx.min.js' with { type: 'text' }
import icon from '../../views/assets/icon.svg' with { type: 'text' }
import live from '../../views/assets/live.js' with { type: 'text' }
import script from '../../views/assets/page.js' with { type: 'text' }
import css from '../../views/assets/wafermon.css' with { type: 'text' }
import type { AssetUrls } from '../../views/page.ts'

type Asset = { url: string; etag: string; type: string; body: string }

const types = { css: 'text/css', js: 'text/javascript', svg: 'image/svg+xml' } as const

/** The name holds a hash of the content: browsers cache it forever, and load a new build immediately. */
function asset(name: string, extension: keyof typeof types, body: string): Asset {
  const hash = createHash('sha256').update(body).digest('base64url').slice(0, 12)
  const url = `/assets/${name}.${hash}.${extension}`
  return { url, etag: `"${hash}"`, type: `${types[extension]}; charset=utf-8`, body }
}

const assets = {
  css: asset('wafermon', 'css', css),
  icon: asset('icon', 'svg', icon),
  htmx: asset('htmx', 'js', htmx),
  live: asset('live', 'js', live),
  script: asset('page', 'js', script),
}

export const assetUrls: AssetUrls = {
  css: assets.css.url,
  icon: assets.icon.url,
  htmx: assets.htmx.url,
  live: assets.live.url,
  script: assets.script.url,
}

/** Everything that a page loads, from the bundle: nothing comes from another machine. */
export function assetRoutes(): Hono {
  const byUrl = new Map(Object.values(assets).map((one) => [one.url, one]))
  return new Hono().get('/assets/:file', (c) => {
    const found = byUrl.get(c.req.path)
    if (!found) return c.notFound()
    c.header('Cache-Control', 'public, max-age=31536000, immutable')
    c.header('ETag', found.etag)
    // A worker is under the policy of its own script.
    c.header('Content-Security-Policy', "default-src 'none'; connect-src 'self'")
    if (c.req.header('if-none-match') === found.etag) return c.body(null, 304)
    return c.body(found.body, 200, { 'content-type': found.type })
  })
}
