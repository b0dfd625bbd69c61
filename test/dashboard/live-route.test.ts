import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import { fromMs, toMs } from '../../src/core/time.ts'
import { SsePush } from '../../src/dashboard/live/sse-push.ts'
import { formatSse } from '../../src/platform/sse.ts'
import { aDashboard } from '../support/dashboard.ts'
import { aJob, idOf } from '../support/sample-jobs.ts'

const noon = '2026-03-01T12:00:00.000000Z'
const ago = (minutes: number) => fromMs(toMs(noon) - minutes * 60_000)

/** Reads a stream until the wanted text came, or fails with the text that came instead. */
async function listen(
  t: TestContext,
  get: ReturnType<typeof aDashboard>['app'],
  path: string,
  headers: Record<string, string> = {},
) {
  const response = await get.request(path, { headers })
  assert.match(response.headers.get('content-type')!, /^text\/event-stream/)
  const reader = response.body!.getReader()
  t.after(() => reader.cancel().catch(() => {}))
  const decoder = new TextDecoder()
  let heard = ''
  return async (wanted: RegExp): Promise<string> => {
    const late = setTimeout(() => reader.cancel(), 5000)
    while (!wanted.test(heard)) {
      const { done, value } = await reader.read()
      if (done) assert.match(heard, wanted)
      heard += decoder.decode(value, { stream: true })
    }
    clearTimeout(late)
    const all = heard
    heard = ''
    return all
  }
}

describe('GET /events', () => {
  test('first says how current the page is', async (t) => {
    const { app } = aDashboard(t)
    const until = await listen(t, app, '/events?view=any')
    const heard = await until(/id="clock"/)
    assert.match(heard, /<span id="fresh"[^>]*hx-swap-oob="outerHTML">Live, 0\u00a0s old/)
  })

  test('does not take a HEAD for an open page', async (t) => {
    const { app, metrics } = aDashboard(t)
    const { status, headers } = await app.request('/events', { method: 'HEAD' })
    assert.equal(status, 200)
    assert.match(headers.get('content-type') ?? '', /^text\/event-stream/)
    assert.equal((await metrics.streamClients.get()).values[0]?.value ?? 0, 0)
  })

  test('replaces the row of a job that changed, and counts new jobs', async (t) => {
    const { app, world, tell } = aDashboard(t)
    const shown = aJob({ id: idOf('shown'), jobKey: 'shown', status: 'running', startedAt: ago(5) })
    world.jobs = [shown]
    const until = await listen(t, app, `/events?view=jobs&as_of=${noon}`)
    await until(/id="clock"/)

    world.jobs = [{ ...shown, status: 'failed', lastError: 'stage <hangs>' }]
    tell(shown.id)
    const swapped = await until(/jobs-changed/)
    assert.match(swapped, new RegExp(`<tr id="job-${shown.id}" hx-swap-oob="outerMorph">`))
    assert.match(swapped, /stage &lt;hangs&gt;/)

    for (const name of ['new 1', 'new 2']) {
      world.jobs.push(aJob({ id: idOf(name), jobKey: name, startedAt: noon }))
      tell(idOf(name))
    }
    assert.match(await until(/2 new/), /id="new"[^>]*><a class="btn" href="\/jobs">2 new: show/)
  })

  test('replaces a row that left its list while the page was being loaded', async (t) => {
    const { app, world } = aDashboard(t)
    const ended = aJob({ id: idOf('ended'), jobKey: 'ended', startedAt: ago(5) })
    world.jobs = [{ ...ended, status: 'failed', lastEventAt: noon, updatedAt: noon }]
    for (const list of ['status=running', 'flag=stuck']) {
      const until = await listen(t, app, `/events?view=jobs&as_of=${noon}&${list}`)
      const swapped = await until(new RegExp(`<tr id="job-${ended.id}" hx-swap-oob`))
      assert.match(swapped, /st fail/)
    }
  })

  test('counts only new jobs that belong to the list', async (t) => {
    const { app, world, tell } = aDashboard(t)
    const until = await listen(t, app, `/events?view=jobs&as_of=${noon}&status=failed&app=litho`)
    await until(/id="clock"/)
    world.jobs = [
      aJob({ id: idOf('well'), startedAt: noon }),
      aJob({ id: idOf('other'), startedAt: noon, status: 'failed', appName: 'lot-move' }),
      aJob({ id: idOf('match'), startedAt: noon, status: 'failed' }),
    ]
    for (const { id } of world.jobs) tell(id)
    const heard = await until(/\d+ new/)
    assert.match(heard, /1 new/)
    assert.doesNotMatch(heard, /<tr/)
  })

  test('catches up on changes since the page was rendered', async (t) => {
    const { app, world } = aDashboard(t)
    world.jobs = [
      aJob({ id: idOf('same'), jobKey: 'same', startedAt: ago(60) }),
      aJob({ id: idOf('changed'), jobKey: 'changed', startedAt: ago(50), updatedAt: ago(1) }),
      aJob({ id: idOf('since'), jobKey: 'since', startedAt: ago(2) }),
    ]
    const until = await listen(t, app, `/events?view=jobs&as_of=${ago(10)}`, {
      'last-event-id': ago(5),
    })
    const heard = await until(/1 new/)
    assert.match(heard, new RegExp(`id="job-${idOf('changed')}"`))
    assert.doesNotMatch(heard, new RegExp(idOf('same')))
  })

  test('notifies a job page about its events and those of its subjobs', async (t) => {
    const { app, tell } = aDashboard(t)
    const until = await listen(t, app, `/events?view=job&id=${idOf('mine')}`)
    await until(/id="clock"/)
    tell(idOf('wafer'), 'subjob', idOf('mine'))
    await until(/event: job-changed/)
  })

  test('ends when the role stops, and counts open pages', async (t) => {
    const { app, metrics, stop } = aDashboard(t)
    const response = await app.request('/events?view=any')
    const count = async () => (await metrics.streamClients.get()).values[0]?.value
    assert.equal(await count(), 1)
    stop()
    const reader = response.body!.getReader()
    while (!(await reader.read()).done);
    assert.equal(await count(), 0)
  })
})

describe('SsePush', () => {
  test('cuts off a browser that does not read', () => {
    const why: string[] = []
    const push = new SsePush({ onEnd: (reason) => why.push(reason) })
    for (let i = 0; i < 100; i++) push.swap('x'.repeat(10_000))
    assert.deepEqual(why, ['slow'])
    assert.equal(push.open, false)
  })

  test('ends once when the browser disconnects', async () => {
    const why: string[] = []
    const push = new SsePush({ onEnd: (reason) => why.push(reason) })
    await push.body.cancel()
    push.swap('x')
    push.end('stopping')
    assert.deepEqual(why, ['gone'])
  })

  test('keeps the lines of its content', () => {
    assert.equal(formatSse({ data: 'a\nb\r\nc', id: '7' }), 'id: 7\ndata: a\ndata: b\ndata: c\n\n')
    assert.equal(
      formatSse({ event: 'jobs-changed', data: '1' }),
      'event: jobs-changed\ndata: 1\n\n',
    )
  })
})
