import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import fc from 'fast-check'
import { pino } from 'pino'
import { csvColumns } from '../../src/api/export.ts'
import { csvLine } from '../../src/core/csv.ts'
import type { JobReader } from '../../src/core/job.ts'
import { jobToWire } from '../../src/core/job-wire.ts'
import { Lifecycle } from '../../src/platform/lifecycle.ts'
import { listen } from '../../src/platform/listen.ts'
import { arrayReader, emptyWorld } from '../support/array-reader.ts'
import { until } from '../support/processes.ts'
import { aJob, fillShift, idOf } from '../support/sample-jobs.ts'
import { noon, readApp } from './read-app.ts'

function shift(n: number) {
  const world = emptyWorld(() => noon)
  fillShift(world, noon, n)
  return world
}

/** Fields of a CSV text by RFC 4180, written without looking at how ours is made. */
function parseCsv(text: string): string[][] {
  const rows: string[][] = [[]]
  const fields = /(?:"((?:[^"]|"")*)"|([^",\r\n]*))(,|\r\n|$)/gy
  for (let match = fields.exec(text); match; match = fields.exec(text)) {
    const [, quoted, plain = '', end] = match
    rows.at(-1)!.push(quoted === undefined ? plain : quoted.replaceAll('""', '"'))
    if (end === '') break
    if (end === '\r\n') {
      if (fields.lastIndex === text.length) break
      rows.push([])
    }
  }
  return rows
}

describe('a line of CSV', () => {
  test('reads back as it was, but for what a spreadsheet would run', () => {
    const text = fc.string({ unit: fc.constantFrom('a', '"', ',', '\n', '\r', '=', "'", ' ', 'é') })
    fc.assert(
      fc.property(fc.array(text, { minLength: 2, maxLength: 5 }), (values) => {
        const [row] = parseCsv(csvLine(values))
        const expected = values.map((value) => (/^[=\r\n]/.test(value) ? `'${value}` : value))
        assert.deepEqual(row, expected)
      }),
    )
  })

  test('disarms formulas in text and leaves numbers alone', () => {
    const line = csvLine(['=cmd|x', '+1', '-1', '@SUM(A1)', '\tx', -1.5, true, null, { a: '=1' }])
    assert.equal(line, `'=cmd|x,'+1,'-1,'@SUM(A1),'\tx,-1.5,true,,"{""a"":""=1""}"\r\n`)
  })
})

describe('an export', () => {
  test('has every row of the window as CSV, with the fields of the JSON', async () => {
    const world = shift(2500)
    const { ask, asked } = readApp({ world })
    const response = await ask('/v1/jobs', { headers: { accept: 'text/csv' } })
    assert.equal(response.headers.get('content-type'), 'text/csv; charset=utf-8; header=present')
    assert.equal(response.headers.get('content-disposition'), 'attachment; filename="jobs.csv"')
    assert.match(
      response.headers.get('wafermon-completeness') ?? '',
      /^as_of=.*; gaps=0; .*archive=off$/,
    )
    const [head, ...rows] = parseCsv(await response.text())
    assert.deepEqual(head, csvColumns.jobs)
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

  test('has columns for every field of a job and of a subjob', () => {
    const job = aJob()
    const subjob = { ...job, entityType: 'subjob' } as const
    assert.deepEqual([...csvColumns.jobs].sort(), Object.keys(jobToWire(job)).sort())
    assert.deepEqual([...csvColumns.subjobs].sort(), Object.keys(jobToWire(subjob)).sort())
  })

  test('is NDJSON when asked for, and ends at a limit that is given', async () => {
    const { ask, json } = readApp({ world: shift(50) })
    const response = await ask('/v1/jobs?format=ndjson&limit=20')
    const lines = (await response.text()).trimEnd().split('\n')
    assert.equal(lines.length, 20)
    const first = JSON.parse(lines[0]!)
    const { items } = await json('/v1/jobs?limit=1')
    assert.deepEqual(first, items[0])
  })

  test('is chosen by quality, and the parameter wins', async () => {
    const { ask } = readApp()
    const typeFor = async (accept: string, path = '/v1/subjobs') =>
      (await ask(path, { headers: { accept } })).headers.get('content-type')?.split(';')[0]
    assert.equal(await typeFor('application/json;q=0.5, text/csv'), 'text/csv')
    assert.equal(await typeFor('text/csv;q=0, */*'), 'application/json')
    assert.equal(await typeFor('text/html'), 'application/json')
    assert.equal(await typeFor('text/csv', '/v1/subjobs?format=json'), 'application/json')
  })

  test('of nothing has its header', async () => {
    const text = await (await readApp().ask('/v1/jobs?format=csv')).text()
    assert.equal(text, `${csvColumns.jobs.join(',')}\r\n`)
  })
})

async function serve(t: TestContext, reader: JobReader) {
  const { app } = readApp({ reader })
  const life = new Lifecycle(pino({ level: 'silent' }))
  const url = await listen(app, { host: '127.0.0.1', port: 0 }, life)
  t.after(() => life.stop(2))
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
  test('that fails in the middle breaks off, so that nobody takes it for whole', async (t) => {
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

  test('asks for the next page only once the reader took the last ones', async (t) => {
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
    // Whoever went on would have by the time that other questions are answered.
    for (let i = 0; i < 20; i++) await fetch(`${url}/v1/healthz`).then((answer) => answer.text())
    assert.ok(asked.afterEnd <= 1, 'it went on after the reader left')
  })
})
