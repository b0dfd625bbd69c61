import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import { pino } from 'pino'
import type { JobReader } from '../../src/core/job.ts'
import { jobTable, jobToWire } from '../../src/core/job-wire.ts'
import { Lifecycle } from '../../src/platform/lifecycle.ts'
import { listen } from '../../src/platform/listen.ts'
import { arrayReader, emptyWorld } from '../support/array-reader.ts'
import { parseCsv } from '../support/csv.ts'
import { until } from '../support/processes.ts'
import { aJob, fillShift, idOf } from '../support/sample-jobs.ts'
import { noon, readApp } from './read-app.ts'

function shift(n: number) {
  const world = emptyWorld(() => noon)
  fillShift(world, noon, n)
  return world
}

describe('an export', () => {
  test('has every row of the window as CSV, with the fields of the JSON', async () => {
    const world = shift(2500)
    const { ask, asked } = readApp({ world })
    const response = await ask('/v1/jobs', { headers: { accept: 'text/csv' } })
    assert.equal(response.headers.get('content-type'), 'text/csv; charset=utf-8; header=present')
    assert.equal(response.headers.get('content-disposition'), 'attachment; filename="jobs.csv"')
    assert.match(
      response.headers.get('wafermon-completeness') ?? '',
      /^as_of=.*; gaps=0; .*archive=off; archive_searched_from=; archive_missing=0$/,
    )
    const [head, ...rows] = parseCsv(await response.text())
    assert.deepEqual(head, jobTable.names)
    assert.equal(rows.length, 2500)
    assert.deepEqual(
      asked.map(({ limit }) => limit),
      [1000, 1000, 1000],
    )
    assert.equal(new Set(rows.map(([id]) => id)).size, 2500)
    const wire = jobToWire(world.jobs.find(({ id }) => id === rows[0]?.[0])!)
    assert.equal(rows[0]?.[head!.indexOf('metadata')], JSON.stringify(wire.metadata))
    assert.equal(rows[0]?.[head!.indexOf('started_at')], wire.started_at)
  })

  test('is NDJSON on request, and ends at the given limit', async () => {
    const { ask, json } = readApp({ world: shift(50) })
    const response = await ask('/v1/jobs?format=ndjson&limit=20')
    const lines = (await response.text()).trimEnd().split('\n')
    assert.equal(lines.length, 20)
    const first = JSON.parse(lines[0]!)
    const { items } = await json('/v1/jobs?limit=1')
    assert.deepEqual(first, items[0])
  })

  test('is chosen by quality, and the parameter overrides it', async () => {
    const { ask } = readApp()
    const typeFor = async (accept: string, path = '/v1/subjobs') =>
      (await ask(path, { headers: { accept } })).headers.get('content-type')?.split(';')[0]
    assert.equal(await typeFor('application/json;q=0.5, text/csv'), 'text/csv')
    assert.equal(await typeFor('text/csv;q=0, */*'), 'application/json')
    assert.equal(await typeFor('text/html'), 'application/json')
    assert.equal(await typeFor('text/csv', '/v1/subjobs?format=json'), 'application/json')
  })

  test('without rows has its header', async () => {
    const text = await (await readApp().ask('/v1/jobs?format=csv')).text()
    assert.equal(text, `${jobTable.names.join(',')}\r\n`)
  })
})

async function serve(t: TestContext, reader: JobReader) {
  const { app } = readApp({ reader })
  const life = new Lifecycle(pino({ level: 'silent' }))
  const url = await listen(app, { host: '127.0.0.1', port: 0 }, life)
  t.after(() => life.stop(30))
  return url
}

/** A store that fails at every third page. */
function failing(): JobReader {
  const world = emptyWorld(() => noon)
  world.jobs = Array.from({ length: 5000 }, (_, i) => aJob({ id: idOf(`${i}`), startedAt: noon }))
  const reader = arrayReader(world)
  let pages = 0
  const findJobs: JobReader['findJobs'] = async (filter, signal) => {
    pages += 1
    if (pages % 3 === 0) throw new Error('planted')
    return reader.findJobs(filter, signal)
  }
  return { ...reader, findJobs }
}

describe('an export over HTTP', () => {
  test('that fails in the middle breaks off, so that it is not mistaken for complete', async (t) => {
    const url = await serve(t, failing())
    for (const format of ['csv', 'ndjson']) {
      const whole = fetch(`${url}/v1/jobs?format=${format}`).then((response) => response.text())
      await assert.rejects(whole)
    }
  })

  /** An export without end, and how many of its pages were asked for. */
  async function endless(t: TestContext) {
    const asked = { pages: 0, afterEnd: 0, signal: undefined as AbortSignal | undefined }
    const world = emptyWorld(() => noon)
    const lastError = 'x'.repeat(20_000)
    world.jobs = Array.from({ length: 1000 }, (_, i) => aJob({ id: idOf(`${i}`), lastError }))
    const reader = arrayReader(world)
    const findJobs: JobReader['findJobs'] = async (filter, signal) => {
      asked.pages += 1
      if (asked.signal?.aborted) asked.afterEnd += 1
      asked.signal = signal
      const page = await reader.findJobs({ ...filter, cursor: undefined, from: undefined }, signal)
      return { ...page, nextCursor: { at: noon, id: idOf(`${asked.pages}`) } }
    }
    return { url: await serve(t, { ...reader, findJobs }), asked }
  }

  test('reads the next page only after the client has taken the last ones', async (t) => {
    const { url, asked } = await endless(t)
    const stop = new AbortController()
    const response = await fetch(`${url}/v1/jobs?format=csv`, { signal: stop.signal })
    const body = response.body!.getReader()
    let taken = 0
    // A page is 20 MB: what the sockets can hold is one or two of them.
    while (taken < 200e6) {
      taken += (await body.read()).value!.length
      const ahead = asked.pages - taken / 20e6
      assert.ok(ahead < 4, `${asked.pages} pages asked for by a reader who took ${taken} bytes`)
    }
    stop.abort()
    await until('the server to see that the reader left', () => asked.signal?.aborted)
    // An export that continued would have done so by the time other requests are answered.
    for (let i = 0; i < 20; i++) await fetch(`${url}/v1/healthz`).then((answer) => answer.text())
    assert.ok(asked.afterEnd <= 1, 'it continued after the reader left')
  })
})
