import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseSse } from '../../src/platform/sse.ts'

// Before the pages are loaded: they take the zone of the machine once.
process.env.TZ = 'Europe/Berlin'
const { aDashboard } = await import('../support/dashboard.ts')

test('a page that stays open into summer time is told the new offset at its foot', async (t) => {
  const { app, get, pass, stop } = aDashboard(t, { noon: '2026-03-29T00:59:50.000000Z' })
  const { html } = await get('/jobs')
  assert.match(
    html,
    /<span id="zone">Times are in the server.*s zone, Europe\/Berlin, CET \(UTC\+1\)/,
  )
  const response = await app.request('/events', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({
      listen: true,
      windows: [{ key: 'w', url: '/jobs', parts: {}, news: 0 }],
    }),
  })
  t.after(stop)
  pass(20)
  for await (const { data } of parseSse(response.body!)) {
    if (!data.includes('id="zone"')) continue
    const [zone = ''] = /<span id="zone".*?<\/span>/s.exec(data) ?? []
    if (zone.includes('UTC+1')) continue
    assert.match(zone, /hx-swap-oob="outerHTML"[^>]*>[^<]*Europe\/Berlin, CEST \(UTC\+2\)/)
    return
  }
  assert.fail('the stream ended')
})
