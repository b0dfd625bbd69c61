import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { describe, test } from 'node:test'
import { fromMs, toMs } from '../../src/core/time.ts'
import { aDashboard } from '../support/dashboard.ts'
import { pagePaths } from '../support/dashboard-pages.ts'
import { addLot, aJob, fillShift, idOf, someSources } from '../support/sample-jobs.ts'

const noon = '2026-03-01T12:00:00.000000Z'
const ago = (minutes: number) => fromMs(toMs(noon) - minutes * 60_000)

/** Keys of the rows of a jobs table, in their order. */
const keysIn = (html: string) =>
  [...html.matchAll(/<tr id="job-[^>]*>.*?<a href="[^"]*">([^<]*)</gs)].map(([, key]) => key)

describe('GET /jobs', () => {
  test('names the sites that its rows are missing', async (t) => {
    const { world, get, pass } = aDashboard(t)
    world.sites = { total: 3, missing: ['fab2', 'fab3'] }
    for (const path of ['/jobs', '/']) {
      const { html } = await get(path)
      assert.match(html, /1 of 3.sites answered/)
      assert.match(html, /Missing: fab2, fab3\./)
    }
    world.sites = { total: 3, missing: [] }
    pass(10)
    assert.doesNotMatch((await get('/jobs')).html, /answered/)
  })

  test('lists the newest first, six hours back by default', async (t) => {
    const { world, get } = aDashboard(t)
    world.jobs = [
      aJob({ jobKey: 'old', startedAt: ago(7 * 60) }),
      aJob({ jobKey: 'first', startedAt: ago(50) }),
      aJob({ jobKey: 'last', startedAt: ago(5) }),
    ]
    assert.deepEqual(keysIn((await get('/jobs')).html), ['last', 'first'])
    assert.deepEqual(keysIn((await get('/jobs?w=24h')).html), ['last', 'first', 'old'])
    assert.deepEqual(keysIn((await get('/jobs?sort=started-asc&w=all')).html), [
      'old',
      'first',
      'last',
    ])
  })

  test('narrows by every filter of its form', async (t) => {
    const { world, get } = aDashboard(t)
    world.jobs = [
      aJob({ jobKey: 'A', startedAt: ago(5), status: 'failed', lastError: 'T3 timeout' }),
      aJob({ jobKey: 'B', startedAt: ago(6), appName: 'lot-move', durationS: 600 }),
      aJob({ jobKey: 'C', startedAt: ago(7), status: 'running' }),
    ]
    const narrowed = async (query: string) => keysIn((await get(`/jobs?${query}`)).html)
    assert.deepEqual(await narrowed('status=failed'), ['A'])
    assert.deepEqual(await narrowed('status=failed&status=running'), ['A', 'C'])
    assert.deepEqual(await narrowed('app=lot-move'), ['B'])
    assert.deepEqual(await narrowed('q=t3+TIME'), ['A'])
    assert.deepEqual(await narrowed('min=100&max=700'), ['B'])
    const { html } = await get('/jobs?q=nothing%3Cb%3E')
    assert.match(html, /No job matches these filters/)
    assert.match(html, /value="nothing&lt;b&gt;"/)
  })

  test('pages forward and back without losing or repeating a row, also among ties', async (t) => {
    const { world, get } = aDashboard(t)
    world.jobs = Array.from({ length: 250 }, (_, i) =>
      aJob({ id: idOf(`tie ${i}`), jobKey: `K${i}`, startedAt: ago(10 + Math.floor(i / 60)) }),
    )
    const linkIn = (html: string, rel: string) =>
      new RegExp(`rel="${rel}" href="([^"]*)"`).exec(html)?.[1]?.replaceAll('&amp;', '&')
    const pages = [(await get('/jobs')).html]
    for (let next = linkIn(pages[0]!, 'next'); next; next = linkIn(pages.at(-1)!, 'next')) {
      pages.push((await get(next)).html)
    }
    const seen = pages.flatMap(keysIn)
    assert.equal(seen.length, 250)
    assert.equal(new Set(seen).size, 250)
    const back = await get(linkIn(pages[2]!, 'prev')!)
    assert.deepEqual(keysIn(back.html), keysIn(pages[1]!))
    const first = await get(linkIn(back.html, 'prev')!)
    assert.deepEqual(keysIn(first.html), keysIn(pages[0]!))
    assert.equal(linkIn(first.html, 'prev'), undefined)
  })

  test('ignores the unreadable parts of an address, and says so', async (t) => {
    const { world, get } = aDashboard(t)
    world.jobs = [aJob({ jobKey: 'A', startedAt: ago(5) })]
    const { status, html } = await get('/jobs?w=zz&sort=zz&min=long&from=noon&after=%00&status=zz')
    assert.equal(status, 200)
    assert.deepEqual(keysIn(html), ['A'])
    for (const words of [
      'The minimum duration was ignored',
      'The start of the range was ignored',
      'The page position was ignored',
    ]) {
      assert.ok(html.includes(words), words)
    }
  })

  test('counts jobs by status, and gives the median', async (t) => {
    const { world, get } = aDashboard(t)
    world.jobs = [10, 20, 30].map((durationS, i) =>
      aJob({ jobKey: `K${i}`, startedAt: ago(2 + i / 10), durationS }),
    )
    const { html } = await get('/jobs')
    assert.match(html, /Succeeded<\/p><p class="val">3</)
    assert.match(html, /Median duration<\/p><p class="val">0:20</)
  })

  test('names missing events and wrong clocks', async (t) => {
    const { world, get } = aDashboard(t)
    world.sources = someSources(noon)
    world.completeness = { skewedSources: ['bn-12'] }
    const { html } = await get('/jobs')
    assert.ok(html.includes('7\u00a0events from bn-05 are missing'))
    assert.ok(html.includes('The clock of bn-12 is off'))
  })

  test('stays under 100 kB with 100 rows', async (t) => {
    const { world, get } = aDashboard(t)
    fillShift(world, noon, 400)
    const { html } = await get('/jobs')
    assert.equal(keysIn(html).length, 100)
    assert.ok(Buffer.byteLength(html) < 100_000, `${Buffer.byteLength(html)} bytes`)
  })
})

describe('a page while the API is away', () => {
  const id = idOf('A')
  for (const path of pagePaths({ id })) {
    test(`says so at ${path.slice(0, 12)}, then recovers`, async (t) => {
      const { world, get, away, pass } = aDashboard(t)
      world.jobs = [aJob({ id, jobKey: 'A', startedAt: ago(5) })]
      away(true)
      const dark = await get(path)
      assert.equal(dark.status, 503)
      assert.match(dark.html, /The API is not answering/)
      assert.match(dark.html, /fab1 cannot be reached/)
      away(false)
      pass(5)
      assert.equal((await get(path)).status, 200)
    })

    test(`keeps the last known values at ${path.slice(0, 12)}, with their age`, async (t) => {
      const { world, get, away, pass } = aDashboard(t)
      world.jobs = [aJob({ id, jobKey: 'A', startedAt: ago(5) })]
      world.sources = someSources(noon)
      assert.equal((await get(path)).status, 200)
      away(true)
      pass(252)
      const { status, html } = await get(path)
      assert.equal(status, 200)
      assert.match(html, /These are the last known values/)
      assert.match(html, /<span id="link">stale, 4:12</)
    })
  }
})

describe('GET /jobs/{id}', () => {
  test('shows a lot with its wafers, its events and its errors', async (t) => {
    const { world, get } = aDashboard(t)
    const lot = addLot(world, noon)
    const { status, html } = await get(`/jobs/${lot.id}`)
    assert.equal(status, 200)
    assert.match(html, /<title>L26N4402.1 · fab1 · wafermon<\/title>/)
    assert.equal([...html.matchAll(/<li><a class="(?:ok|run|fail|can|stuck)"/g)].length, 25)
    assert.match(html, /pattern score 0.31/)
    assert.match(html, /site 7 of 9 has no reading/)
  })

  test('does not call an event the newest when it may have read only older ones', async (t) => {
    const { world, get, pass } = aDashboard(t)
    const lot = addLot(world, noon)
    assert.match((await get(`/jobs/${lot.id}`)).html, /of the newest event, progress/)
    const [event] = world.events.get(lot.id) ?? []
    world.events.set(lot.id, Array(600).fill(event))
    lot.eventCount = 600
    pass(10)
    const { html } = await get(`/jobs/${lot.id}`)
    assert.match(html, /the oldest 500 of 600, newest first/)
    assert.doesNotMatch(html, /of the newest event/)
  })

  test('shows a subjob, with a link to its job', async (t) => {
    const { world, get } = aDashboard(t)
    const lot = addLot(world, noon)
    const { html } = await get(`/jobs/${idOf('wafer 14')}`)
    assert.match(html, /<h1>W14<\/h1>/)
    assert.ok(html.includes(`href="/jobs/${lot.id}"`))
  })

  for (const id of [idOf('unknown'), 'nonsense', '%3Cscript%3E']) {
    test(`answers the unknown id ${id.slice(0, 12)} with a page`, async (t) => {
      const { get } = aDashboard(t)
      const { status, html } = await get(`/jobs/${id}`)
      assert.equal(status, 404)
      assert.match(html, /No such job/)
      assert.doesNotMatch(html, /<script>/)
    })
  }
})

describe('GET /', () => {
  test('shows what failures have in common, stuck jobs, and the figures of the chart', async (t) => {
    const { world, get } = aDashboard(t)
    fillShift(world, noon, 400)
    addLot(world, noon)
    const { status, html } = await get('/?w=1h')
    assert.equal(status, 200)
    assert.match(html, /recipe checksum mismatch: host #, tool #/)
    assert.match(html, /<span class="st stuck">stuck<\/span>/)
    assert.match(html, /Jobs started per 5\u00a0min by status/)
  })

  test('says so when nothing ran', async (t) => {
    const { get } = aDashboard(t)
    const { status, html } = await get('/')
    assert.equal(status, 200)
    assert.match(html, /No job failed in this window/)
    assert.match(html, /No job started in this window/)
  })
})

describe('GET /pipeline', () => {
  test('says nothing about events while no sidecar has delivered any', async (t) => {
    const { html } = await aDashboard(t).get('/pipeline')
    assert.match(html, /No sidecar has delivered an event yet/)
    assert.match(html, /Not known: no sidecar/)
    assert.doesNotMatch(html, /In transit|no gap|has arrived/)
  })

  test('puts problems first', async (t) => {
    const { world, get } = aDashboard(t)
    world.sources = someSources(noon)
    const { html } = await get('/pipeline')
    const order = [...html.matchAll(/<th scope="row" class="k" title[^>]*>([^<]*)</g)].map(
      ([, id]) => id,
    )
    assert.deepEqual(order, ['bn-05', 'bn-12', 'bn-04'])
    assert.match(html, /<b>behind, clock ahead<\/b>/)
    assert.match(html, /310,114 to 310,120/)
  })
})

describe('exports', () => {
  test('pass the rows of the list through, as a file', async (t) => {
    const { get } = aDashboard(t)
    const { response, html } = await get('/jobs.csv?status=failed&sort=started-asc')
    assert.equal(html, 'csv failed asc')
    assert.match(response.headers.get('content-type')!, /^text\/csv/)
    assert.match(
      response.headers.get('content-disposition')!,
      /^attachment; filename="wafermon-fab1-jobs-20260301T120000Z\.csv"$/,
    )
    assert.equal((await get('/jobs.ndjson')).html, 'ndjson all desc')
  })

  test('ask the API for no file that HEAD would leave open', async (t) => {
    const { get, away } = aDashboard(t)
    away(true)
    const { status, response, html } = await get('/jobs.csv', { method: 'HEAD' })
    assert.deepEqual([status, html], [200, ''])
    assert.match(response.headers.get('content-type')!, /^text\/csv/)
  })

  test('say so when the API is away', async (t) => {
    const { get, away } = aDashboard(t)
    away(true)
    const { status, html } = await get('/jobs.csv')
    assert.equal(status, 503)
    assert.match(html, /The export failed/)
  })
})

describe('every page', () => {
  test('is in the navigation, or marks the entry that it belongs to', async (t) => {
    const { world, get } = aDashboard(t)
    const { id } = addLot(world, noon)
    for (const path of pagePaths({ id })) {
      const { html, status } = await get(path)
      assert.equal(status, 200)
      const current = [...html.matchAll(/<a href="([^"]*)" aria-current="page">/g)]
      assert.deepEqual(
        current.map(([, href]) => href),
        [path.startsWith('/jobs') ? '/jobs' : path],
      )
    }
  })

  test('is described in the manual', async () => {
    const manual = readFileSync(new URL('../../docs/dashboard.md', import.meta.url), 'utf8')
    for (const path of pagePaths({ id: '{id}' })) {
      assert.ok(manual.includes(`| \`${path}\``), `docs/dashboard.md has no row for ${path}`)
    }
  })

  test('allows only its own scripts, styles and connections', async (t) => {
    const { get } = aDashboard(t)
    for (const path of [...pagePaths({ id: idOf('unknown') }), '/jobs/nonsense']) {
      const { response } = await get(path)
      assert.equal(
        response.headers.get('content-security-policy'),
        "default-src 'none'; script-src 'self'; worker-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
      )
    }
  })

  test('loads files that never change under their name, and are not sent twice', async (t) => {
    const { get } = aDashboard(t)
    const { html } = await get('/jobs')
    const urls = [...html.matchAll(/(?:src|href)="(\/assets\/[^"]*)"/g)].map(([, url]) => url!)
    assert.equal(urls.length, 5)
    for (const url of urls) {
      const { response, status } = await get(url)
      assert.equal(status, 200)
      assert.equal(response.headers.get('cache-control'), 'public, max-age=31536000, immutable')
      const etag = response.headers.get('etag')!
      assert.equal((await get(url, { headers: { 'if-none-match': etag } })).status, 304)
    }
    assert.equal((await get('/assets/wafermon.000000000000.css')).status, 404)
  })

  test('keeps the theme in a cookie, and forgets it on request', async (t) => {
    const { get } = aDashboard(t)
    const { response, html } = await get('/jobs?theme=dark')
    assert.match(html, /<html lang="en" data-theme="dark">/)
    assert.match(
      response.headers.get('set-cookie')!,
      /^wafermon_theme=dark; .*HttpOnly; SameSite=Lax/,
    )
    const dark = await get('/', { headers: { cookie: 'wafermon_theme=dark' } })
    assert.match(dark.html, /data-theme="dark"/)
    const other = await get('/?theme=system', { headers: { cookie: 'wafermon_theme=dark' } })
    assert.doesNotMatch(other.html, /data-theme/)
    const odd = await get('/', { headers: { cookie: 'wafermon_theme="><script>' } })
    assert.doesNotMatch(odd.html, /data-theme/)
  })

  test('answers for an unknown site', async (t) => {
    const { get } = aDashboard(t)
    const { status, html } = await get('/jobs?site=fab9')
    assert.equal(status, 404)
    assert.match(html, /This dashboard has no site fab9/)
  })
})
