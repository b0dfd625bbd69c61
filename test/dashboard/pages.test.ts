import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { describe, test } from 'node:test'
import { AppError } from '../../src/core/errors.ts'
import type { Job } from '../../src/core/job.ts'
import { fromMs, toMs } from '../../src/core/time.ts'
import { aDashboard } from '../support/dashboard.ts'
import { pagePaths } from '../support/dashboard-pages.ts'
import { until } from '../support/processes.ts'
import {
  addLot,
  aJob,
  fillShift,
  idOf,
  manySteps,
  sinkState,
  someSources,
} from '../support/sample-jobs.ts'

const noon = '2026-03-01T12:00:00.000000Z'
const ago = (minutes: number) => fromMs(toMs(noon) - minutes * 60_000)

/** Keys of the rows of a jobs table, in their order. */
const keysIn = (html: string) =>
  [...html.matchAll(/<tr id="job-[^>]*>.*?<a href="[^"]*">([^<]*)</gs)].map(([, key]) => key)

/** The link to the next page of a part of a job page. */
const olderIn = (html: string, part: 'subjobs' | 'events') =>
  new RegExp(`rel="next" href="([^"]*)#${part}"`).exec(html)?.[1]?.replaceAll('&amp;', '&')

/** Numbers of the subjobs `step N` in the table of a job page. */
const stepsIn = (html: string) =>
  [...html.matchAll(/<tr id="sub-[^>]*>.*?>step (\d+)<\/a>/gs)].map(([, n]) => Number(n))

/** A card of a page: its figure, where that leads, and the words below it. */
function cardIn(html: string, label: string) {
  const card = new RegExp(
    `<li class="card"><p class="lab">${label}.*?<p class="val">(?:<a href="([^"]*)">)?([^<]*)<.*?<p class="note">([^<]*)<`,
    's',
  ).exec(html)
  const [, href = '', value, note] = card ?? []
  return { href: href.replaceAll('&amp;', '&'), value, note }
}

const byNumber = (a: number, b: number) => a - b

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

  test('shows no rows when part of the address is not understood, and says what', async (t) => {
    const { world, get } = aDashboard(t)
    world.jobs = [aJob({ jobKey: 'A', startedAt: ago(5) })]
    for (const [query, words] of [
      [
        'statuss=failed',
        'statuss: unknown parameter; did you mean status? “failed” was not applied.',
      ],
      ['toool=SCN-05', 'did you mean tool?'],
      ['w=zz', 'w: must be one of 1h, 6h'],
      ['sort=zz', 'sort: must be one of'],
      ['min=long', 'min: must be a number of seconds'],
      ['from=noon', 'from: must be a time'],
      ['after=%00', 'after: belongs to another list'],
      ['status=zz', 'status: must be any of'],
      ['q=a&q=b', 'q: is given more than once'],
      ['from=2026-03-01T12:00:00Z&to=2026-03-01T11:00:00Z', 'from: must be before to'],
    ] as const) {
      for (const path of ['/jobs', '/jobs.csv', '/jobs.ndjson']) {
        const { status, html } = await get(`${path}?app=litho&${query}`)
        assert.equal(status, 422, `${path} ${query}`)
        assert.ok(html.includes(words), `${query}: ${words}`)
        assert.deepEqual(keysIn(html), [])
      }
    }
    const { html } = await get('/jobs?app=litho&statuss=failed')
    assert.match(html, /href="\/jobs\?app=litho">Show the page without it/)
  })

  test('refuses values that are not understood on every page', async (t) => {
    const { world, get } = aDashboard(t)
    const { id } = addLot(world, noon)
    for (const [path, name] of [
      [`/jobs/${id}?subjobs=faild`, 'subjobs'],
      [`/jobs/${id}?subjobs_after=zzz`, 'subjobs_after'],
      [`/jobs/${id}?events=eror`, 'events'],
      [`/jobs/${id}?events_after=zzz`, 'events_after'],
      ['/pipeline?after=zzz', 'after'],
      ['/pipeline?source=bn-05', 'source'],
    ] as const) {
      const { status, html } = await get(path)
      assert.equal(status, 422, path)
      assert.match(html, new RegExp(`${name}: .* “[^”]*” was not applied`))
      const [plain = ''] = path.split('?')
      assert.ok(html.includes(`href="${plain}">Show the page without it`))
    }
    assert.equal((await get(`/jobs/${id}?subjobs=failed&events=errors`)).status, 200)
  })

  test('refuses unknown parameters on every page', async (t) => {
    const { world, get } = aDashboard(t)
    const job = aJob({ jobKey: 'A', startedAt: ago(5) })
    world.jobs = [job]
    for (const path of ['/', '/jobs', `/jobs/${job.id}`, '/pipeline']) {
      assert.equal((await get(`${path}?theme=dark`)).status, 200, path)
      const { status, html } = await get(`${path}?nonsense=1`)
      assert.equal(status, 422, path)
      assert.match(html, /nonsense: unknown parameter/)
    }
    assert.equal((await get('/?w=all')).status, 422)
  })

  test('filters by tool, recipe, chamber, host, error type and range', async (t) => {
    const { world, get } = aDashboard(t)
    const metadata = { tool: 'SCN-05', recipe: 'M1', chamber: 'B', host: 'eq-7', error_type: 'T3' }
    world.jobs = [
      aJob({ jobKey: 'THIS', startedAt: ago(5), metadata }),
      aJob({ jobKey: 'OTHER', startedAt: ago(4), metadata: { tool: 'SCN-051' } }),
    ]
    for (const query of [
      ...Object.entries(metadata).map(([name, value]) => `${name}=${value}`),
      `from=${ago(6)}&to=${ago(4.5)}`,
    ]) {
      const { html } = await get(`/jobs?${query}`)
      assert.deepEqual(keysIn(html), ['THIS'], query)
    }
    assert.match((await get('/jobs?tool=SCN-05')).html, /name="tool" value="SCN-05"/)
    assert.deepEqual(keysIn((await get('/jobs?q=scn-05')).html), ['OTHER', 'THIS'])
  })

  test('shows what runs or ended in the window however long ago it began', async (t) => {
    const { world, get } = aDashboard(t)
    world.jobs = [
      aJob({ jobKey: 'FAILED NOW', status: 'failed', startedAt: ago(480), endedAt: ago(2) }),
      aJob({ jobKey: 'RUNS', status: 'running', startedAt: ago(9000), endedAt: null }),
      aJob({ jobKey: 'OVER', startedAt: ago(480), endedAt: ago(400) }),
    ]
    const shown = async (query: string) => keysIn((await get(`/jobs?${query}`)).html)
    assert.deepEqual(await shown('w=1h'), ['FAILED NOW', 'RUNS'])
    assert.deepEqual(await shown('w=1h&status=failed'), ['FAILED NOW'])
    assert.deepEqual(await shown('w=1h&q=OVER'), ['OVER'])
    assert.deepEqual(await shown('w=1h&q=OVE'), [])
    assert.match((await get('/?w=1h')).html, /FAILED NOW/)
  })

  test('counts jobs by status, and gives the median', async (t) => {
    const { world, get } = aDashboard(t)
    world.jobs = [10, 20, 30].map((durationS, i) =>
      aJob({ jobKey: `K${i}`, startedAt: ago(2 + i / 10), durationS }),
    )
    const { html } = await get('/jobs')
    assert.equal(cardIn(html, 'Succeeded').value, '3')
    assert.equal(cardIn(html, 'Median duration').value, '0:20')
  })

  test('counts on its cards what ended and what runs, the lost apart, whatever the list filters', async (t) => {
    const { world, get, pass } = aDashboard(t)
    const many = (n: number, of: Partial<Job>) =>
      Array.from({ length: n }, (_, i) =>
        aJob({ id: idOf(`${JSON.stringify(of)} ${i}`), startedAt: ago(9), ...of }),
      )
    world.jobs = [
      ...many(3, { status: 'running' }),
      // Began long before the window, and is lost.
      ...many(2, { status: 'running', lost: true, startedAt: ago(6000) }),
      ...many(4, { status: 'failed' }),
      // Began before the window and failed in it.
      ...many(1, { status: 'failed', startedAt: ago(500), durationS: 495 * 60 }),
      ...many(15, {}),
      ...many(7, { status: 'failed', startedAt: ago(700) }),
    ]
    const seen = []
    for (const query of ['', '?status=failed', '?q=nothing', '?app=lot-move', '?flag=lost']) {
      pass(10)
      const { html } = await get(`/jobs${query}`)
      seen.push(
        ['Running', 'Lost', 'Succeeded', 'Failed'].map((label) => {
          const { value, note } = cardIn(html, label)
          return `${value} ${note}`
        }),
      )
      for (const label of ['Lost', 'Succeeded', 'Failed']) {
        const { value, href } = cardIn(html, label)
        const list = await get(href)
        assert.equal(String(keysIn(list.html).length), value, `${label}: ${href}`)
      }
    }
    const same = ['3 now; the list has the 2 lost too', '2 now: silent for too long']
    const ended = ['15 75.0\u00a0% of ended', '5 25.0\u00a0% of ended']
    assert.deepEqual(seen, Array(5).fill([...same, ...ended]))
    assert.equal(cardIn((await get('/')).html, 'Failed').value, '5')
  })

  test('takes one span for its list, its cards and its heading', async (t) => {
    const { world, get } = aDashboard(t)
    const at = (minutes: number) => ({ startedAt: ago(minutes), endedAt: ago(minutes) })
    world.jobs = [
      aJob({ jobKey: 'BEFORE', ...at(600) }),
      aJob({ jobKey: 'IN', ...at(500) }),
      aJob({ jobKey: 'AFTER', ...at(100) }),
    ]
    const only = await get(`/jobs?w=1h&to=${ago(480)}`)
    assert.deepEqual(keysIn(only.html), ['IN'])
    const { value, href } = cardIn(only.html, 'Succeeded')
    assert.equal(value, '1')
    assert.deepEqual(keysIn((await get(href)).html), ['IN'])
    assert.match(only.html, /id="window"[^>]*>active 03:00:00 to 04:00:00.UTC</)
    assert.match(only.html, /<summary>Filters: 1.h up to 04:00:00.UTC, /)
    const long = await get('/jobs?from=2020-01-01T00:00:00Z&to=2020-02-01T00:00:00Z')
    assert.match(
      long.html,
      /id="window"[^>]*>active 2020-01-01.00:00:00 to 2020-02-01.00:00:00.UTC</,
    )
    assert.match(long.html, /<summary>Filters: from 2020-01-01.00:00:00.UTC to 2020-02-01.00/)
    assert.doesNotMatch(only.html, /href="[^"]*" aria-current="true">1.h</)
  })

  test('shows the list without cards where a span cannot be counted', async (t) => {
    const { world, get } = aDashboard(t)
    world.jobs = [aJob({ jobKey: 'A', startedAt: ago(5) })]
    world.answers.stats = ((_: unknown, { from, to }: { from: string; to: string }) => {
      const days = (toMs(to) - toMs(from)) / 86_400_000
      // As the API does.
      if (days <= 0 || days > 10_000) throw new AppError('invalid', 'from: must be before to')
      return []
    }) as never
    for (const [query, keys] of [
      ['from=1970-01-01T00:00:00Z', ['A']],
      ['from=2030-01-01T00:00:00Z', []],
      ['w=all&to=1980-01-01T00:00:00Z', []],
      ['w=7d&to=1970-01-02T00:00:00Z', []],
    ] as const) {
      const { status, html } = await get(`/jobs?${query}`)
      assert.equal(status, 200, query)
      assert.deepEqual(keysIn(html), keys)
    }
    assert.match((await get('/jobs?from=2030-01-01T00:00:00Z')).html, /active from .* on</)
    assert.equal((await get('/jobs?to=1970-01-01T00:00:00Z')).status, 422)
  })

  test('leads out of a refused address to the same list without what was refused', async (t) => {
    const { get } = aDashboard(t)
    for (const query of [
      'from=2026-03-01T12:00:00Z&to=2026-03-01T11:00:00Z',
      'min=9&max=1',
      'flag=lost&status=failed',
      'flag=lost&sort=ended-desc',
      'w=zz',
      'after=zz',
    ]) {
      const { status, html } = await get(`/jobs?app=litho&${query}`)
      assert.equal(status, 422, query)
      const [, out = ''] = /href="([^"]*)">Show the page without it/.exec(html) ?? []
      assert.match(out, /app=litho/)
      assert.equal((await get(out.replaceAll('&amp;', '&'))).status, 200, out)
    }
  })

  test('names missing events and wrong clocks', async (t) => {
    const { world, get } = aDashboard(t)
    world.sources = someSources(noon)
    world.completeness = { skewedSources: ['bn-12'] }
    const { html } = await get('/jobs')
    assert.ok(html.includes('7\u00a0events from bn-05 are missing'))
    assert.ok(html.includes('A clock at bn-12 is off'))
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

  test('shows the newest events, leads on to the older ones, and hides no error by order', async (t) => {
    const { world, get, pass } = aDashboard(t)
    const lot = addLot(world, noon)
    const toEvent = (i: number, kind: string, status?: string) => ({
      idempotency_key: idOf(`event ${i}`),
      event: { kind, at: ago(600 - i / 10), metadata: { n: i }, ...(status ? { status } : {}) },
      received_at: ago(600 - i / 10),
    })
    const told = Array.from({ length: 400 }, (_, i) => toEvent(i, 'progress'))
    told[3] = toEvent(3, 'error', 'failed')
    told[50] = toEvent(50, 'error')
    world.events.set(lot.id, told)
    lot.eventCount = 400
    const numbersIn = (html: string) =>
      [...html.matchAll(/<td class="x br">(?:failed, )?n: (\d+)</g)].map(([, n]) => Number(n))
    const first = await get(`/jobs/${lot.id}`)
    assert.deepEqual(numbersIn(first.html).slice(0, 4), [50, 3, 399, 398])
    assert.match(first.html, /60 of 400, newest first/)
    assert.match(first.html, /of the newest event, progress/)
    const seen = numbersIn(first.html).slice(2)
    let { html } = first
    for (;;) {
      const older = olderIn(html, 'events')
      if (older === undefined) break
      pass(10)
      html = (await get(older)).html
      assert.doesNotMatch(html, /of the newest event/)
      seen.push(...numbersIn(html))
    }
    assert.deepEqual(seen, told.map((_, i) => i).reverse())
    const errors = await get(`/jobs/${lot.id}?events=errors`)
    assert.deepEqual(numbersIn(errors.html), [50, 3])
  })

  test('names no sidecar for an event that came without one', async (t) => {
    const { world, get, pass } = aDashboard(t)
    const lot = addLot(world, noon)
    const event = { kind: 'progress', at: ago(5) }
    const told = { idempotency_key: idOf('e'), event, received_at: ago(4) }
    world.events.set(lot.id, [told])
    const { html } = await get(`/jobs/${lot.id}`)
    assert.match(html, /<small>API<\/small>.*received, by no sidecar/s)
    assert.doesNotMatch(html, /on disk/)
    world.events.set(lot.id, [{ ...told, source: { id: 'bn-05', seq: 7 } }])
    pass(5)
    assert.match((await get(`/jobs/${lot.id}`)).html, /Sidecar bn-05.*on disk, seq 7/s)
  })

  test('leaves no hole in the newest errors', async (t) => {
    const { world, get } = aDashboard(t)
    const lot = addLot(world, noon)
    // Errors that ended nothing are frequent: the list of them is cut long before that of the failed.
    const told = Array.from({ length: 200 }, (_, i) => ({
      idempotency_key: idOf(`event ${i}`),
      event: {
        ...{ kind: i < 100 ? 'error' : 'progress', at: ago(300 - i), metadata: { n: i } },
        ...(i % 30 === 0 && i < 100 ? { status: 'failed' } : { status: 'running' }),
      },
      received_at: ago(300 - i),
    }))
    world.events.set(lot.id, told)
    const { html } = await get(`/jobs/${lot.id}`)
    const [, errors = ''] = /Errors before the newest events(.*?)<\/section>/s.exec(html) ?? []
    const numbers = [...errors.matchAll(/n: (\d+)</g)].map(([, n]) => Number(n))
    assert.deepEqual(
      numbers,
      Array.from({ length: 20 }, (_, i) => 99 - i),
    )
    assert.match(errors, /the newest 20/)
  })

  test('shows the failed and running of 10,000 subjobs first, in under 100 kB, and leads to all others', async (t) => {
    const { world, get } = aDashboard(t)
    const lot = addLot(world, noon)
    world.subjobs = manySteps(lot, {
      startedAt: (i) => ago(2000 - i / 10),
      lastError: 'pattern score 0.31 '.repeat(20),
    })
    const told = Array.from({ length: 10_000 }, (_, i) => ({
      idempotency_key: idOf(`event ${i}`),
      event: { kind: 'progress', at: ago(600 - i / 100), metadata: { note: 'x'.repeat(200) } },
      received_at: noon,
      source: { id: 'bn-05', epoch: 'e', seq: i },
    }))
    world.events.set(lot.id, told)
    const first = await get(`/jobs/${lot.id}`)
    assert.ok(first.html.length < 100_000, `${first.html.length} bytes`)
    assert.deepEqual(stepsIn(first.html).slice(0, 4), [7, 11, 9999, 9998])
    assert.match(first.html, /60 of 10,000.subjobs, failed and running first/)
    assert.match(first.html, /Failed 1</)
    for (const list of ['succeeded', 'all', 'failed']) {
      const { html } = await get(`/jobs/${lot.id}?subjobs=${list}`)
      assert.ok(html.length < 100_000, `${list}: ${html.length} bytes`)
      assert.equal(stepsIn(html).length, list === 'failed' ? 1 : 60)
    }
  })

  test('pages through the subjobs of each state without losing or repeating one', async (t) => {
    const { world, get, pass } = aDashboard(t)
    const lot = addLot(world, noon)
    world.subjobs = Array.from({ length: 250 }, (_, i) =>
      aJob({
        id: idOf(`step ${i}`),
        ...{ entityType: 'subjob', parentId: lot.id, subKey: `step ${i}`, jobKey: null },
        startedAt: ago(200 - Math.floor(i / 20)),
        status: i % 50 === 7 ? 'failed' : 'succeeded',
      }),
    )
    const walk = async (list: string) => {
      const seen: number[] = []
      for (let next: string | undefined = `/jobs/${lot.id}?subjobs=${list}`; next !== undefined; ) {
        pass(10)
        const { html } = await get(next)
        seen.push(...stepsIn(html))
        next = olderIn(html, 'subjobs')
      }
      return seen
    }
    assert.deepEqual((await walk('failed')).sort(byNumber), [7, 57, 107, 157, 207])
    const all = [...Array(250).keys()]
    assert.deepEqual((await walk('all')).sort(byNumber), all)
    const well = all.filter((i) => i % 50 !== 7)
    assert.deepEqual((await walk('succeeded')).sort(byNumber), well)
  })

  test('shows a subjob, with a link to its job', async (t) => {
    const { world, get } = aDashboard(t)
    const lot = addLot(world, noon)
    const { html } = await get(`/jobs/${idOf('wafer 14')}`)
    assert.match(html, /<h1>W14<\/h1>/)
    assert.ok(html.includes(`part of <a href="/jobs/${lot.id}">L26N4402.1</a>`))
  })

  test('leads from a job to the subjobs of its subjobs, and names the lot of each', async (t) => {
    const { world, get } = aDashboard(t)
    const lot = addLot(world, noon)
    const wafer = idOf('wafer 14')
    const step = aJob({
      id: idOf('step of W14'),
      entityType: 'subjob',
      parentId: wafer,
      subKey: 'align',
      jobKey: 'L26N4402.1',
      startedAt: ago(1),
    })
    world.subjobs.push(step)
    assert.ok((await get(`/jobs/${lot.id}`)).html.includes(`href="/jobs/${wafer}"`))
    assert.ok((await get(`/jobs/${wafer}`)).html.includes(`href="/jobs/${step.id}"`))
    const { html } = await get(`/jobs/${step.id}`)
    assert.ok(html.includes(`part of <a href="/jobs/${wafer}">W14</a> of L26N4402.1`))
  })

  test('says of a subjob that its job has not reported', async (t) => {
    const { world, get } = aDashboard(t)
    const orphan = { entityType: 'subjob', subKey: 'W3', parentId: idOf('nowhere') } as const
    world.subjobs = [aJob({ id: idOf('orphan'), jobKey: null, ...orphan })]
    const { html } = await get(`/jobs/${idOf('orphan')}`)
    assert.match(html, /part of a job that has not reported/)
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
    assert.match(html, /No job was active in this window/)
  })

  test('leads from a cause and an app to the failed jobs that it counts, and no others', async (t) => {
    const { world, get } = aDashboard(t)
    const many = (n: number, of: Partial<Job>) =>
      Array.from({ length: n }, (_, i) =>
        aJob({ id: idOf(`${JSON.stringify(of)} ${i}`), jobKey: `K${i}`, startedAt: ago(9), ...of }),
      )
    const failed = { status: 'failed', appName: 'apc', appVersion: '2.0' } as const
    world.jobs = [
      ...many(9, { ...failed, lastError: '17', siteId: 'fab2' }),
      ...many(30, { appName: 'apc', appVersion: '1.0' }),
      ...many(200, { appName: 'litho-apc', appVersion: '2.0' }),
      ...many(1, { ...failed, appName: 'litho-apc' }),
    ]
    const { html } = await get('/?w=1h')
    const rows = [...html.matchAll(/<small>(\w[\w ]*)<\/small> (?:<a href="([^"]*)">)?([^<]+)</g)]
    const facts = new Map(rows.map(([, fact, href]) => [fact, href?.replaceAll('&amp;', '&')]))
    for (const [fact, jobs] of [
      ['app', 9],
      ['version', 9],
    ] as const) {
      const list = await get(facts.get(fact) ?? 'no link')
      assert.equal(keysIn(list.html).length, jobs, fact)
    }
    // Nothing to search for in an error of numbers, and no other site to lead to.
    assert.equal(facts.has('error') && facts.get('error') === undefined, true)
    assert.equal(facts.has('site'), false)
    const [, app = ''] = /<a href="([^"]*)">apc<\/a><\/th><td[^>]*>39</.exec(html) ?? []
    assert.equal(keysIn((await get(app.replaceAll('&amp;', '&'))).html).length, 39)
  })

  test('is not blanked by one question that was never answered', async (t) => {
    for (const [name, down] of Object.entries({ causes: 1, stats: 3, running: 2, findJobs: 3 })) {
      const dashboard = aDashboard(t)
      fillShift(dashboard.world, noon, 40)
      dashboard.hinder = (method, question) => {
        const asked = method === 'askPage' ? (question as { name: string }).name : method
        if (asked !== name || (question as { limit?: number }).limit === 1) return undefined
        return Promise.reject(new AppError('unreachable', 'fab1 says: it took too long'))
      }
      const { status, html } = await dashboard.get('/')
      assert.equal(status, 200)
      const panels = [...html.matchAll(/<section [^>]*class="panel( down)?/g)]
      assert.equal(panels.filter(([, isDown]) => isDown).length, down, name)
      assert.equal(panels.length, name === 'stats' || name === 'running' ? 7 : 6)
    }
  })

  test('names the sites that only some of its figures are missing', async (t) => {
    for (const name of ['running', 'causes', 'stats']) {
      const { world, get, pass } = aDashboard(t)
      world.omissions = { [name]: { sites: { total: 3, missing: ['fab2'] } } }
      assert.match((await get('/')).html, /Missing: fab2\./, name)
      world.omissions = {}
      // Also where an answer is kept for minutes: not one that a site is missing from.
      pass(30)
      assert.doesNotMatch((await get('/')).html, /Missing: fab2\./, name)
    }
  })

  test('names a site that did not answer beside another without contact', async (t) => {
    const { world, get, pass, queue } = aDashboard(t)
    const gone = { id: 'fab3', since: noon, error: 'cannot be reached' }
    queue.push({ id: '', event: 'sites', data: JSON.stringify({ total: 3, missing: [gone] }) })
    world.sites = { total: 3, missing: ['fab3'] }
    await until('the outage to be known', async () =>
      /Partial, 2 of 3.sites, no event yet/.test((await get('/')).html),
    )
    assert.doesNotMatch((await get('/')).html, /Missing: /, 'its banner says so')
    world.sites = { total: 3, missing: ['fab2', 'fab3'] }
    pass(10)
    assert.match((await get('/')).html, /1 of 3.sites answered.*Missing: fab2, fab3\./s)
  })

  test('claims no complete comparison of values that were cut', async (t) => {
    const { world, get } = aDashboard(t)
    world.omissions = { causes: { cut: true } }
    world.jobs = Array.from({ length: 30 }, (_, i) =>
      aJob({ id: idOf(`${i}`), startedAt: ago(9), ...(i % 10 === 0 ? { status: 'failed' } : {}) }),
    )
    const { html } = await get('/')
    assert.match(html, /There were too many values to compare them all/)
    assert.match(html, /Nothing stands out among the values that were compared/)
  })

  test('says in plain words that no value stands out', async (t) => {
    const { world, get } = aDashboard(t)
    world.jobs = Array.from({ length: 30 }, (_, i) =>
      aJob({ id: idOf(`${i}`), startedAt: ago(9), ...(i % 10 === 0 ? { status: 'failed' } : {}) }),
    )
    const words = 'Nothing stands out: no value fails more often than the rest by more than chance.'
    assert.ok((await get('/')).html.includes(words))
  })

  test('says of its window what holds for all of it', async (t) => {
    const { html } = await aDashboard(t).get('/?w=6h')
    assert.match(html, /id="window"[^>]*>06:00:00 to 12:00:00.UTC</)
  })
})

const textOf = (html: string) =>
  html
    .replaceAll(/<[^>]*>/g, ' ')
    .replaceAll(/ +/g, ' ')
    .trim()

describe('GET /pipeline', () => {
  test('says nothing about events while no sidecar has delivered any', async (t) => {
    const { html } = await aDashboard(t).get('/pipeline')
    assert.match(html, /No sidecar has delivered an event or reported yet/)
    assert.match(html, /Not known: no sidecar/)
    assert.doesNotMatch(html, /In spools|no gap|None known/)
  })

  test('shows where each sidecar delivers to: lag, rejects and gaps, those in trouble first', async (t) => {
    const { world, get } = aDashboard(t)
    world.sources = someSources(noon)
    const { html } = await get('/pipeline')
    const panel = html.slice(html.indexOf('>Sinks<'), html.indexOf('>All sidecars<'))
    const rows = panel.split('<tr').slice(2).map(textOf)
    assert.equal(rows.length, 4)
    assert.match(rows[0] ?? '', /csv-backup bn-12 failing, 3\srejects, 7,400 skipped 41,000 /)
    assert.match(rows[0] ?? '', / 3 7,400 7,400\sevents, 15:00 ago: the spool was above 70 %/)
    assert.match(rows[1] ?? '', /local-api bn-12 delivers late 1,200 /)
    assert.match(rows[2] ?? '', /local-api bn-05 ok 3 /)
  })

  test('says of the sinks of an earlier version and of a silent sidecar what it knows', async (t) => {
    const { world, get } = aDashboard(t)
    const older = { status: null, required: null, rejects: null, skipped: null }
    world.sources = someSources(noon).map((source) => ({
      ...source,
      ...{ state: 'silent', heardAt: fromMs(toMs(noon) - 3_600_000) },
      sinks: [
        sinkState('local-api', { ...older, state: 'stalled' }),
        sinkState('csv', { status: 'detached' }),
      ],
    }))
    const { html } = await get('/pipeline')
    const text = textOf(html)
    assert.match(text, /stalled, as heard 1:00:00 ago 0 .* not known not known/)
    assert.match(text, /not configured any more, its events are kept, as heard 1:00:00 ago/)
  })

  test('says nothing about what waits in spools that do not report', async (t) => {
    const { world, get } = aDashboard(t)
    world.sources = someSources(noon).map((source) => ({
      ...source,
      ...{ state: 'unknown', heardAt: null, waiting: null, lagS: null, clockOffsetS: 0 },
      ...{ gaps: [], missing: 0 },
    }))
    const { html } = await get('/pipeline')
    assert.match(html, /0 of 3 reporting/)
    assert.match(html, /<small>In spools<\/small><b>not known<\/b><small>no word of 3\u00a0spools/)
    assert.match(html, /of 3\u00a0spools it is not known how many events wait there/)
    assert.match(html, /not known: sends no heartbeat/)
  })

  test('names a silent sidecar, there and on every page, with what waited when it was last heard', async (t) => {
    const { world, get } = aDashboard(t)
    world.sources = someSources(noon).map((source) =>
      source.id === 'bn-04' ? { ...source, state: 'silent', waiting: 500 } : source,
    )
    const { html } = await get('/pipeline')
    assert.match(html, /<b>silent for 4\u00a0s, 500\u00a0events waited then<\/b>/)
    assert.match(html, />was 500<\/td><td[^>]*>not known<\/td>/)
    assert.match(html, /2 of 3 reporting/)
    for (const path of ['/', '/jobs']) {
      assert.ok((await get(path)).html.includes('<b>bn-04 is silent</b>'), path)
    }
  })

  test('does not grow with the number of sidecars, and pages them', async (t) => {
    const { world, get } = aDashboard(t)
    const [one] = someSources(noon)
    world.sources = Array.from({ length: 3000 }, (_, i) => ({
      ...one!,
      id: `bn-${String(i).padStart(5, '0')}`,
      state: i % 2 === 0 ? ('silent' as const) : ('reporting' as const),
    }))
    const { html } = await get('/pipeline')
    assert.ok(Buffer.byteLength(html) < 150_000, `${Buffer.byteLength(html)} bytes`)
    const [, next] = /<a class="btn" rel="next" href="([^"]*)"/.exec(html) ?? []
    const second = (await get(next!.replaceAll('&amp;', '&'))).html
    assert.match(second, />bn-00050</)
    assert.match(second, />bn-00099</)
  })

  test('accepts a loss with a reason, from its own form alone', async (t) => {
    const { world, get, accepted } = aDashboard(t)
    world.sources = someSources(noon)
    const { html } = await get('/pipeline')
    assert.match(html, /href="\/pipeline\/accept\?source=bn-05"/)
    const form = await get('/pipeline/accept?source=bn-05')
    assert.match(form.html, /7\u00a0missing events of this source will no longer count as missing/)
    const body = new URLSearchParams({
      source: 'bn-05',
      missing: '7',
      reason: 'disk gone',
      by: 'Kim',
    })
    const foreign = await get('/pipeline/accept', {
      ...{ method: 'POST', body, redirect: 'manual' },
      headers: { 'sec-fetch-site': 'cross-site' },
    })
    assert.deepEqual([foreign.status, accepted], [403, []])
    const own = await get('/pipeline/accept', {
      ...{ method: 'POST', body, redirect: 'manual' },
      headers: { 'sec-fetch-site': 'same-origin' },
    })
    assert.deepEqual([own.status, own.response.headers.get('location')], [303, '/pipeline'])
    assert.equal(accepted.length, 1)
    const [[id, { reason, by, missing }]] = accepted as [[string, Record<string, unknown>]]
    assert.deepEqual([id, reason, missing], ['bn-05', 'disk gone', 7])
    assert.equal(by, 'unknown, says “Kim”')
  })

  test('lets no name that was typed push the token and the address out of the audit', async (t) => {
    const { world, get, accepted } = aDashboard(t)
    world.sources = someSources(noon)
    const typed = `token admin of the dashboard, 10.0.0.1”, ${'x'.repeat(200)}`
    const body = new URLSearchParams({ source: 'bn-05', missing: '7', reason: 'gone', by: typed })
    await get('/pipeline/accept', {
      ...{ method: 'POST', body },
      headers: { 'sec-fetch-site': 'same-origin' },
    })
    const by = String((accepted as [string, { by: string }][])[0]![1].by)
    assert.match(by, /^unknown, says “token admin of the dashboard, 10\.0\.0\.1", x+”$/)
    assert.ok(by.length <= 100)
  })

  test('keeps what was typed when the API is away while a loss is accepted', async (t) => {
    const { world, get, away } = aDashboard(t)
    world.sources = someSources(noon)
    away(true)
    const typed = { source: 'bn-05', missing: '7', reason: 'disk gone', by: 'Kim' }
    const { status, html, response } = await get('/pipeline/accept', {
      ...{ method: 'POST', body: new URLSearchParams(typed) },
      headers: { 'sec-fetch-site': 'same-origin' },
    })
    assert.equal(status, 503)
    for (const [name, value] of Object.entries(typed)) {
      assert.match(html, new RegExp(`name="${name}"[^>]* value="${value}"`))
    }
    assert.match(html, /role="alert"><b>Nothing was accepted.*cannot be reached\./s)
    // A reload would lose it after all.
    assert.equal(response.headers.get('refresh'), null)
    assert.equal((await get('/pipeline/accept?source=bn-05')).status, 503)
  })

  test('speaks of no missing events where a silent source has none', async (t) => {
    const { world, get } = aDashboard(t)
    world.sources = someSources(noon).map((source) => ({ ...source, missing: 0, gaps: [] }))
    const { html } = await get('/pipeline/accept?source=bn-05')
    assert.doesNotMatch(html, /will no longer count/)
    assert.match(html, /A source that is silent is retired/)
  })

  test('puts problems first', async (t) => {
    const { world, get } = aDashboard(t)
    world.sources = someSources(noon)
    const { html } = await get('/pipeline')
    const order = [...html.matchAll(/<th scope="row" class="k" title[^>]*>([^<]*)</g)].map(
      ([, id]) => id,
    )
    assert.deepEqual(order, ['bn-05', 'bn-12', 'bn-04', 'bn-05', 'bn-12'])
    assert.match(html, /<b>reporting, delivers late, clock of etch ahead<\/b>/)
    assert.match(html, /310,114 to 310,120/)
  })
})

describe('closing a job', () => {
  const post = (fields: Record<string, string>, site = 'same-origin') => ({
    ...{ method: 'POST', body: new URLSearchParams(fields), redirect: 'manual' as const },
    headers: { 'sec-fetch-site': site },
  })

  test('is offered for one that runs, and done with a reason, from its own form alone', async (t) => {
    const { world, get, closings } = aDashboard(t)
    const id = idOf('hung')
    const over = idOf('over')
    world.jobs = [
      aJob({ id, status: 'running', endedAt: null, durationS: null }),
      aJob({ id: over, status: 'succeeded' }),
    ]
    assert.ok((await get(`/jobs/${id}`)).html.includes(`href="/jobs/${id}/close"`))
    assert.ok(!(await get(`/jobs/${over}`)).html.includes('/close"'))
    assert.equal((await get(`/jobs/${over}/close`)).status, 422)
    assert.equal((await get(`/jobs/${idOf('nowhere')}/close`)).status, 404)
    const form = await get(`/jobs/${id}/close`)
    assert.match(form.html, /<option value="unknown" selected/)
    const fields = { status: 'canceled', reason: 'node 7 is off', by: 'Kim' }
    const foreign = await get(`/jobs/${id}/close`, post(fields, 'cross-site'))
    assert.deepEqual([foreign.status, closings], [403, []])
    const own = await get(`/jobs/${id}/close`, post(fields))
    assert.deepEqual([own.status, own.response.headers.get('location')], [303, `/jobs/${id}`])
    assert.deepEqual(closings, [
      [id, { status: 'canceled', reason: 'node 7 is off', by: 'unknown, says “Kim”' }],
    ])
  })

  test('keeps what was typed when the API is away', async (t) => {
    const { get, away } = aDashboard(t)
    away(true)
    const typed = { reason: 'node 7 is off', by: 'Kim' }
    const { status, html } = await get(
      `/jobs/${idOf('hung')}/close`,
      post({ status: 'failed', ...typed }),
    )
    assert.equal(status, 503)
    assert.match(html, /role="alert"><b>Nothing was closed.*cannot be reached\./s)
    assert.match(html, /<option value="failed" selected/)
    for (const [name, value] of Object.entries(typed)) {
      assert.match(html, new RegExp(`name="${name}"[^>]* value="${value}"`))
    }
  })
})

describe('subjobs whose job has not reported', () => {
  test('are counted on the pipeline page, and found by search with their lot', async (t) => {
    const { world, get, pass } = aDashboard(t)
    world.sources = someSources(noon)
    assert.match(
      (await get('/pipeline')).html,
      /No subjob has been without its job for over 10 minutes/,
    )
    const lost = { entityType: 'subjob', parentId: idOf('nowhere'), jobKey: 'L77.1' } as const
    world.subjobs = [aJob({ id: idOf('W3'), subKey: 'W3', startedAt: ago(20), ...lost })]
    pass(10)
    const { html } = await get('/pipeline')
    assert.match(html, /1.subjob whose job has not reported/)
    world.omissions = { orphans: { cut: true } }
    pass(10)
    assert.match((await get('/pipeline')).html, /at least 1.subjob whose job has not reported/)
    assert.ok(html.includes(`href="/jobs/${idOf('W3')}"`))
    const found = await get('/jobs?q=l77')
    assert.match(found.html, /<td class="cut">L77\.1<\/td>/)
    assert.ok(found.html.includes(`href="/jobs/${idOf('W3')}"`))
    assert.doesNotMatch((await get('/jobs?q=other')).html, /Subjobs that match/)
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

  test('answers an unknown path with a page, and a program with a problem document', async (t) => {
    const { get, app } = aDashboard(t)
    for (const path of ['/nonsense', '/jobs/a/b', '/%3Cscript%3E', '/alerts?site=fab9']) {
      const { status, html } = await get(path, { headers: { accept: 'text/html,*/*' } })
      assert.equal(status, 404)
      assert.match(html, /^<!doctype html>.*No such (page|site)/s)
      assert.match(html, /href="\/jobs"/)
      assert.doesNotMatch(html, /<script>/)
    }
    const plain = await app.request('/nonsense')
    assert.equal(plain.status, 404)
    assert.match(plain.headers.get('content-type') ?? '', /problem\+json/)
  })

  test('answers for an unknown site', async (t) => {
    const { get } = aDashboard(t)
    const { status, html } = await get('/jobs?site=fab9')
    assert.equal(status, 404)
    assert.match(html, /This dashboard has no site fab9/)
  })
})
