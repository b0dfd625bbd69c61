import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import { setTimeout as wait } from 'node:timers/promises'
import { AppError } from '../../src/core/errors.ts'
import { fromMs, toMs } from '../../src/core/time.ts'
import { eachPart, readPage } from '../../src/dashboard/live/parts.ts'
import { parseSse } from '../../src/platform/sse.ts'
import { aDashboard } from '../support/dashboard.ts'
import { aJob, idOf } from '../support/sample-jobs.ts'

const noon = '2026-03-01T12:00:00.000000Z'
const ago = (minutes: number) => fromMs(toMs(noon) - minutes * 60_000)

type Dashboard = ReturnType<typeof aDashboard>
type Window = { key: string; url: string; parts: Record<string, string>; news: number }

/** What a browser says of a window that has just loaded this page. */
async function load({ get }: Dashboard, url: string, key = 'w1'): Promise<Window> {
  const { html } = await get(url)
  const parts = [...eachPart(readPage(html))].map(({ id, version }) => [id, version])
  return { key, url, parts: Object.fromEntries(parts), news: 0 }
}

const ask = ({ app }: Dashboard, windows: Window[], listen: boolean) =>
  app.request('/events', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ listen, windows }),
  })

/** Listens until the wanted HTML came to a window; fails with what came instead. */
async function listen(t: TestContext, dashboard: Dashboard, windows: Window[]) {
  const response = await ask(dashboard, windows, true)
  assert.match(response.headers.get('content-type') ?? '', /^text\/event-stream/)
  const heard = new Map<string, string>()
  const reading = (async () => {
    for await (const { event, data } of parseSse(response.body!)) {
      heard.set(event, (heard.get(event) ?? '') + data)
    }
  })()
  t.after(() => reading)
  t.after(() => dashboard.stop())
  const until = async (wanted: RegExp, key = 'w1'): Promise<string> => {
    const deadline = Date.now() + 10_000
    while (!wanted.test(heard.get(key) ?? '')) {
      if (Date.now() > deadline) assert.match(heard.get(key) ?? '', wanted)
      await new Promise((resolve) => setTimeout(resolve, 10))
    }
    const all = heard.get(key) ?? ''
    heard.delete(key)
    return all
  }
  return { until, heard, reading }
}

/** Fails these questions and no others: methods of the API, or names of questions. */
const failing =
  (...names: string[]) =>
  (name: string, question?: unknown) => {
    const asked = name === 'ask' || name === 'askPage' ? (question as { name: string }).name : name
    // The probe, which has one row, is answered.
    const isProbe = (question as { limit?: number } | undefined)?.limit === 1
    if (!names.includes(asked) || isProbe) return undefined
    return Promise.reject(new AppError('unreachable', 'fab1 says: the database is away'))
  }

describe('POST /events', () => {
  test('first says what is heard of the plant, and how it is connected', async (t) => {
    const dashboard = aDashboard(t)
    dashboard.world.jobs = [aJob({ lastEventAt: ago(6) })]
    const { until } = await listen(t, dashboard, [await load(dashboard, '/')])
    const heard = await until(/id="clock"/)
    assert.match(heard, /<span id="fresh"[^>]*hx-swap-oob="outerHTML"/)
    await until(/Quiet, last event 6:00 ago<\/span> <span id="link">connected</)
  })

  test('makes a job lost on every open page although nothing happens', async (t) => {
    const dashboard = aDashboard(t)
    const job = aJob({ id: idOf('silent'), jobKey: 'SILENT', status: 'running', startedAt: ago(5) })
    dashboard.world.jobs = [job]
    const urls = ['/', '/jobs', '/jobs?status=running', `/jobs/${job.id}`]
    const windows = await Promise.all(urls.map((url, i) => load(dashboard, url, `w${i}`)))
    const { until } = await listen(t, dashboard, windows)
    await Promise.all(windows.map(({ key }) => until(/id="clock"/, key)))
    dashboard.world.jobs = [{ ...job, lost: true }]
    await Promise.all(windows.map(({ key }) => until(/class="st lost"/, key)))
  })

  test('makes a page once for all windows that show it', async (t) => {
    const dashboard = aDashboard(t)
    const job = aJob({ id: idOf('a'), status: 'running', startedAt: ago(5) })
    dashboard.world.jobs = [job]
    const one = await load(dashboard, '/jobs')
    const windows = Array.from({ length: 40 }, (_, i) => ({ ...one, key: `w${i}` }))
    const { until } = await listen(t, dashboard, windows)
    await until(/id="clock"/)
    let asked = 0
    dashboard.asked = (name, filter) => {
      if (name === 'findJobs' && (filter as { limit: number }).limit > 1) asked++
    }
    dashboard.world.jobs = [{ ...job, lost: true }]
    await Promise.all(windows.map(({ key }) => until(/class="st lost"/, key)))
    assert.equal(asked, 1)
  })

  test('sends only the parts that differ from what a window shows', async (t) => {
    const dashboard = aDashboard(t)
    const [ended, running] = [
      aJob({ id: idOf('ended'), startedAt: ago(50) }),
      aJob({ id: idOf('running'), status: 'running', startedAt: ago(5) }),
    ]
    dashboard.world.jobs = [ended, running]
    const { until } = await listen(t, dashboard, [await load(dashboard, '/jobs')])
    await until(/id="clock"/)
    dashboard.world.jobs = [ended, { ...running, stuck: true }]
    const heard = await until(/st stuck/)
    assert.match(heard, new RegExp(`<tr hx-swap-oob="outerMorph" id="job-${running.id}"`))
    assert.doesNotMatch(heard, new RegExp(ended.id))
    assert.doesNotMatch(heard, /<form|id="rows"/)
  })

  test('replaces the row of a job that changed, and counts new jobs', async (t) => {
    const dashboard = aDashboard(t)
    const { world, tell } = dashboard
    const shown = aJob({ id: idOf('shown'), jobKey: 'shown', status: 'running', startedAt: ago(5) })
    world.jobs = [shown]
    const { until } = await listen(t, dashboard, [await load(dashboard, '/jobs')])
    await until(/id="clock"/)
    world.jobs = [{ ...shown, status: 'failed', lastError: 'stage <hangs>' }]
    tell(shown.id)
    const swapped = await until(/stage &lt;hangs&gt;/)
    assert.match(swapped, new RegExp(`<tr hx-swap-oob="outerMorph" id="job-${shown.id}"`))
    for (const name of ['new 1', 'new 2']) {
      world.jobs.push(aJob({ id: idOf(name), jobKey: name, startedAt: ago(1) }))
    }
    const heard = await until(/2 new/)
    assert.match(heard, /id="new"[^>]*><a class="btn" href="\/jobs">2 new: show/)
    assert.doesNotMatch(heard, new RegExp(`<tr[^>]*${idOf('new 1')}`))
  })

  test('shows in a row the time that orders its list, in each window its own', async (t) => {
    const dashboard = aDashboard(t)
    const { world, tell } = dashboard
    const times = { startedAt: ago(50), endedAt: ago(40), lastEventAt: ago(30) }
    const job = aJob({ id: idOf('shown'), status: 'failed', ...times })
    world.jobs = [job]
    const lists = { Started: 'started-desc', Ended: 'ended-desc', 'Last event': 'seen-desc' }
    const windows: Window[] = []
    for (const [head, sort] of Object.entries(lists)) {
      const url = `/jobs?sort=${sort}`
      assert.match((await dashboard.get(url)).html, new RegExp(`<th[^>]*>(<a[^>]*>)?${head}<`))
      windows.push(await load(dashboard, url, sort))
    }
    const { until } = await listen(t, dashboard, windows)
    world.jobs = [{ ...job, lastError: 'a later word' }]
    tell(job.id)
    for (const [sort, clock] of [
      ['started-desc', '11:10:00'],
      ['ended-desc', '11:20:00'],
      ['seen-desc', '11:30:00'],
    ] as const) {
      const [, row = ''] = /(<tr.*?a later word.*?<\/tr>)/s.exec(await until(/a later word/, sort))!
      const shown = row.match(/\d\d:\d\d:\d\d/g)
      assert.deepEqual(shown, [clock], sort)
    }
  })

  test('corrects a row that left its list', async (t) => {
    const dashboard = aDashboard(t)
    const job = aJob({ id: idOf('ended'), status: 'running', stuck: true, startedAt: ago(5) })
    for (const list of ['/jobs?status=running', '/jobs?flag=stuck']) {
      dashboard.world.jobs = [job]
      const window = await load(dashboard, list)
      dashboard.world.jobs = [{ ...job, stuck: false, status: 'failed', updatedAt: noon }]
      const { until } = await listen(t, dashboard, [window])
      assert.match(await until(/st fail/), new RegExp(`id="job-${job.id}"`))
    }
  })

  test('keeps a row current that left its list and waits', async (t) => {
    const dashboard = aDashboard(t)
    const { world, pass } = dashboard
    const queued = { status: 'queued', durationS: null, endedAt: null, queuedAt: ago(30) } as const
    const job = aJob({ id: idOf('queued'), jobKey: 'QUEUED', startedAt: ago(30), ...queued })
    world.jobs = [job]
    const window = await load(dashboard, '/jobs')
    // A page of newer ones takes its place.
    for (let i = 0; i < 120; i++) {
      world.jobs.push(aJob({ id: idOf(`newer ${i}`), jobKey: `K${i}`, startedAt: ago(1) }))
    }
    pass(2)
    const { until } = await listen(t, dashboard, [window])
    await until(new RegExp(`id="job-${job.id}"[^]*>30:02<`))
    pass(2)
    await until(new RegExp(`id="job-${job.id}"[^]*>30:04<`))
  })

  test('does not count rows that only moved up because others left the list', async (t) => {
    const dashboard = aDashboard(t)
    const jobs = Array.from({ length: 101 }, (_, i) =>
      aJob({ id: idOf(`r${i}`), status: 'running', startedAt: ago(10 + i) }),
    )
    dashboard.world.jobs = jobs
    const window = await load(dashboard, '/jobs?status=running')
    const { until, heard } = await listen(t, dashboard, [window])
    await until(/id="clock"/)
    const [first, ...rest] = jobs
    dashboard.world.jobs = [{ ...first!, status: 'failed', endedAt: ago(0) }, ...rest]
    await until(/st fail/)
    assert.doesNotMatch(heard.get('w1') ?? '', /\d+ new/)
    dashboard.world.jobs.push(aJob({ id: idOf('new'), status: 'running', startedAt: ago(1) }))
    assert.match(await until(/\d+ new/), /1 new/)
  })

  test('makes the page of a job again when it or a subjob of it changes', async (t) => {
    const dashboard = aDashboard(t)
    const job = aJob({ id: idOf('mine'), status: 'running', startedAt: ago(5) })
    dashboard.world.jobs = [job]
    const { until } = await listen(t, dashboard, [await load(dashboard, `/jobs/${job.id}`)])
    await until(/id="clock"/)
    dashboard.world.jobs = [{ ...job, lastError: 'of a wafer' }]
    dashboard.tell(idOf('wafer'), 'subjob', job.id)
    await until(/of a wafer/)
  })

  test('lets the values of an unreachable API stand as they are', async (t) => {
    const dashboard = aDashboard(t)
    const job = aJob({ id: idOf('running'), status: 'running', startedAt: ago(5) })
    dashboard.world.jobs = [job]
    const { until, heard } = await listen(t, dashboard, [await load(dashboard, '/jobs')])
    await until(/id="clock"/)
    dashboard.away(true)
    await until(/data-state="stale"/)
    dashboard.pass(20)
    await until(/stale, 2\d/)
    // As long as it takes until pages are made again.
    await wait(5000)
    assert.doesNotMatch(heard.get('w1') ?? '', /<tr/)
    dashboard.away(false)
    await until(/<tr hx-swap-oob/)
  })

  test('calls no figure current whose question fails while the API answers others', async (t) => {
    const dashboard = aDashboard(t)
    const window = await load(dashboard, '/')
    dashboard.hinder = failing('stats')
    dashboard.pass(20)
    const { until } = await listen(t, dashboard, [window])
    const heard = await until(/data-state="part"/)
    assert.match(heard, /id="link">part of this page is 20.s old</)
    assert.match(heard, /Part of this page is not current.*Fab1 says: the database is away\./s)
    assert.doesNotMatch(heard, /The API is not answering/)
  })

  test('says on a load that one question failed, not that the API does not answer', async (t) => {
    const dashboard = aDashboard(t)
    await dashboard.get('/')
    dashboard.pass(30)
    dashboard.hinder = failing('stats')
    const { status, html } = await dashboard.get('/')
    assert.equal(status, 200)
    assert.doesNotMatch(html, /<html[^>]* data-stale/)
    // Only what the question answers is marked, in words as well.
    const marked = html.matchAll(
      /class="(?:panel[^"]* )?stale" aria-label="([^"]*)"|aria-label="([^"]*)" class="stale"/g,
    )
    assert.deepEqual([...marked].map(([, panel, section]) => panel ?? section).sort(), [
      'By app',
      'Counts',
      'Jobs over time',
    ])
    assert.equal([...html.matchAll(/class="old">Not current: 30.s old</g)].length, 3)
    assert.match(html, /Part of this page is not current/)
    assert.doesNotMatch(html, /The API is not answering/)
  })

  test('says on an open list that its rows are old, and when they are not any more', async (t) => {
    const dashboard = aDashboard(t)
    dashboard.world.jobs = [aJob({ startedAt: ago(5) })]
    const window = await load(dashboard, '/jobs')
    dashboard.hinder = failing('findJobs')
    dashboard.pass(20)
    const { until } = await listen(t, dashboard, [window])
    await until(/id="list-age"[^>]*><p class="old stale">These rows are 20.s old/)
    delete dashboard.hinder
    dashboard.pass(5)
    await until(/id="list-age"[^>]*><\/div>/)
  })

  test('calls no page connected that cannot be made any more', async (t) => {
    for (const [why, words] of [
      [undefined, /What it shows is not there any more/],
      [new AppError('invalid', 'no'), /The API refuses what it asks/],
      [new Error('a bug'), /the log of the web role has the reason/],
    ] as const) {
      const dashboard = aDashboard(t)
      const job = aJob({ id: idOf('mine'), status: 'running', startedAt: ago(5) })
      dashboard.world.jobs = [job]
      const window = await load(dashboard, `/jobs/${job.id}`)
      dashboard.world.jobs = []
      dashboard.pass(5)
      if (why) dashboard.hinder = (name) => (name === 'getJob' ? Promise.reject(why) : undefined)
      const { until } = await listen(t, dashboard, [window])
      const heard = await until(words)
      assert.match(heard, /This page is not current/)
      assert.match(heard, /id="link">this page is/)
      dashboard.stop()
    }
  })

  test('fills an open list of ended jobs that was empty', async (t) => {
    const dashboard = aDashboard(t)
    const window = await load(dashboard, '/jobs?status=failed')
    const failed = { status: 'failed', startedAt: ago(50) } as const
    dashboard.pass(5)
    dashboard.world.jobs = [aJob({ id: idOf('first'), ...failed, endedAt: ago(1) })]
    const text = await (await ask(dashboard, [window], false)).text()
    assert.match(text, new RegExp(`id="list".*id="job-${idOf('first')}"`, 's'))
  })

  test('counts new rows in every list with the newest on top', async (t) => {
    for (const sort of ['started-desc', 'ended-desc', 'seen-desc']) {
      const dashboard = aDashboard(t)
      const jobs = [1, 2].map((n) => {
        const at = { startedAt: ago(9 - n), endedAt: ago(3 - n), lastEventAt: ago(3 - n) }
        return aJob({ id: idOf(`${n}`), ...at })
      })
      dashboard.world.jobs = jobs.slice(0, 1)
      const window = await load(dashboard, `/jobs?sort=${sort}`)
      dashboard.world.jobs = jobs
      dashboard.pass(5)
      assert.match(await (await ask(dashboard, [window], false)).text(), /1 new/, sort)
    }
  })

  test('fills a jobs page that was opened while some questions had no answer', async (t) => {
    const dashboard = aDashboard(t)
    dashboard.world.jobs = [aJob({ id: idOf('a'), jobKey: 'LATER', startedAt: ago(5) })]
    dashboard.world.subjobs = [aJob({ id: idOf('s'), jobKey: 'LATER', startedAt: ago(5) })]
    dashboard.hinder = failing('stats', 'findJobs', 'findSubjobs')
    const window = await load(dashboard, '/jobs?q=LATER')
    assert.equal(Object.keys(window.parts).includes('list'), true)
    delete dashboard.hinder
    dashboard.pass(5)
    const text = await (await ask(dashboard, [window], false)).text()
    assert.match(text, /id="rows"/)
    assert.match(text, /id="cards"[^>]*><ul class="cards">/)
    assert.match(text, /Subjobs that match/)
  })

  test('lets no id that a browser made up cost the other windows their rows', async (t) => {
    const dashboard = aDashboard(t)
    const job = aJob({ id: idOf('ended'), status: 'running', stuck: true, startedAt: ago(5) })
    dashboard.world.jobs = [job]
    const window = await load(dashboard, '/jobs?flag=stuck')
    dashboard.world.jobs = [{ ...job, stuck: false, status: 'failed', updatedAt: noon }]
    const made = Array.from({ length: 5000 }, (_, i) => [`job-${idOf(`made up ${i}`)}`, 'v'])
    const bad = { ...window, key: 'w2', parts: { 'job-x': 'v', ...Object.fromEntries(made) } }
    const asked: string[][] = []
    dashboard.asked = (name, ids) => {
      if (name === 'getJobs') asked.push(ids as string[])
    }
    dashboard.pass(5)
    const { until } = await listen(t, dashboard, [bad, window])
    assert.match(await until(/st fail/), new RegExp(`id="job-${job.id}"`))
    assert.ok(asked.flat().length <= 121 * asked.length)
    assert.equal(asked.flat().includes('x'), false)
  })

  test('sends rows that left their list before the slowest page is made', async (t) => {
    const dashboard = aDashboard(t)
    const job = aJob({ id: idOf('ended'), status: 'running', stuck: true, startedAt: ago(5) })
    dashboard.world.jobs = [job]
    const window = await load(dashboard, '/jobs?flag=stuck')
    const slow = await load(dashboard, '/', 'w2')
    const { until } = await listen(t, dashboard, [slow, window])
    await until(/id="clock"/)
    await until(/id="clock"/, 'w2')
    const held = Promise.withResolvers<void>()
    t.after(() => held.resolve())
    // A question of the overview alone.
    dashboard.hinder = (_, __, params) =>
      (params as { groupBy?: string[] }).groupBy?.includes('app') ? held.promise : undefined
    dashboard.world.jobs = [{ ...job, stuck: false, status: 'failed', updatedAt: noon }]
    await until(/st fail/)
  })

  const bounded = { timeout: 20_000 }
  test(
    'answers a browser that asks before it gives up on a page that takes long',
    bounded,
    async (t) => {
      const dashboard = aDashboard(t)
      const window = await load(dashboard, '/')
      dashboard.world.jobs = [aJob({ jobKey: 'LATER', startedAt: ago(1) })]
      dashboard.pass(5)
      const held = Promise.withResolvers<void>()
      dashboard.hinder = (name) => (name === 'findJobs' ? held.promise : undefined)
      const first = await (await ask(dashboard, [window], false)).text()
      assert.match(first, /id="fresh"/)
      assert.doesNotMatch(first, /LATER/)
      held.resolve()
      delete dashboard.hinder
      assert.match(await (await ask(dashboard, [window], false)).text(), /LATER/)
    },
  )

  test('answers a browser that cannot listen, and ends', async (t) => {
    const dashboard = aDashboard(t)
    const job = aJob({ id: idOf('silent'), status: 'running', startedAt: ago(5) })
    dashboard.world.jobs = [job]
    const windows = [await load(dashboard, '/jobs'), await load(dashboard, '/', 'w2')]
    dashboard.world.jobs = [{ ...job, lost: true }]
    dashboard.pass(5)
    const text = await (await ask(dashboard, windows, false)).text()
    assert.match(text, /^event: w1\n/m)
    assert.match(text, /^event: w2\n/m)
    assert.match(text, /<tr hx-swap-oob="outerMorph"[^>]*>.*st lost/)
  })

  test('makes pages, and neither files nor addresses of others', async (t) => {
    const dashboard = aDashboard(t)
    const nothing = { parts: {}, news: 0 }
    const urls = ['/jobs.csv', '/jobs/unknown', '/?site=fab9', '/events', '/sign-in']
    const windows = urls.map((url, i) => ({ ...nothing, url, key: `w${i}` }))
    const text = await (await ask(dashboard, windows, false)).text()
    assert.doesNotMatch(text, /outerMorph" id="(?!outage)/)
    for (const url of ['//elsewhere/jobs', 'http://elsewhere/', '/\\elsewhere']) {
      const { status } = await ask(dashboard, [{ ...nothing, url, key: 'w1' }], false)
      assert.equal(status, 422, url)
    }
  })

  test('refuses what a page of another site could send', async (t) => {
    const { app } = aDashboard(t)
    const body = JSON.stringify({ listen: true, windows: [] })
    const { status } = await app.request('/events', { method: 'POST', body })
    assert.equal(status, 415)
  })

  test('ends when the role stops, and counts browsers, not windows', async (t) => {
    const dashboard = aDashboard(t)
    const windows = [await load(dashboard, '/', 'w1'), await load(dashboard, '/jobs', 'w2')]
    const response = await ask(dashboard, windows, true)
    const count = async () => (await dashboard.metrics.streamClients.get()).values[0]?.value
    assert.equal(await count(), 1)
    dashboard.stop()
    await response.text()
    assert.equal(await count(), 0)
  })
})
