import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { cursorFromWire, cursorToWire } from '../../src/core/cursor-wire.ts'
import { AppError } from '../../src/core/errors.ts'
import { jobToWire } from '../../src/core/job-wire.ts'
import { must } from '../../src/core/must.ts'
import type { StatsFilter } from '../../src/core/questions/stats.ts'
import { fromMicros, fromMs, toMicros } from '../../src/core/time.ts'
import { emptyWorld } from '../support/array-reader.ts'
import { addLot, aJob, fillShift, idOf, someSources } from '../support/sample-jobs.ts'
import { limits, noon, type Refusal, readApp } from './read-app.ts'

const noonMs = Date.parse(noon)
const day = 86_400_000

function shift(n: number) {
  const world = emptyWorld(() => noon)
  fillShift(world, noon, n)
  return world
}

describe('GET /v1/jobs', () => {
  test('answers the newest first, and says what may be missing', async () => {
    const { json } = readApp({ world: shift(30) })
    const body = await json('/v1/jobs?limit=10')
    assert.equal(body.count, 10)
    assert.equal(body.items.length, 10)
    const starts = body.items.map((job: { started_at: string }) => job.started_at)
    assert.deepEqual(starts, [...starts].sort().reverse())
    assert.equal(body.completeness.as_of, noon)
    assert.equal(typeof body.duration_s, 'number')
  })

  test('is written in pieces when it is long, and is the same: with its length, and to HEAD', async () => {
    const world = shift(900)
    const heavy = { metadata: { text: 'é"'.repeat(5000), list: ['x'.repeat(200_000)] } }
    world.jobs = world.jobs.map((job, i) => (i % 90 === 0 ? { ...job, ...heavy } : job))
    const { ask } = readApp({ world })
    const answer = await ask('/v1/jobs?limit=1000')
    const text = await answer.text()
    const length = String(Buffer.byteLength(text))
    assert.ok(Number(length) > 2e6, 'it is long')
    assert.equal(answer.headers.get('content-length'), length)
    const { items, count } = JSON.parse(text)
    assert.equal(count, world.jobs.length)
    const byId = new Map(world.jobs.map((job) => [job.id, job]))
    for (const item of items) {
      assert.deepEqual(item, jobToWire(must(byId.get(item.job_id), 'it is one of them')))
    }
    const head = await ask('/v1/jobs?limit=1000', { method: 'HEAD' })
    // But for the digits of the time it took.
    const apart = Math.abs(Number(head.headers.get('content-length')) - Number(length))
    assert.ok(apart < 8, `${apart} bytes apart`)
    assert.equal(await head.text(), '')
  })

  test('looks back seven days without from and to', async () => {
    const { ask, asked } = readApp()
    await ask('/v1/jobs')
    await ask('/v1/jobs?to=2020-01-01T00:00:00Z')
    await ask('/v1/jobs?from=2020-01-01T00:00:00%2B01:00')
    assert.deepEqual(
      asked.map(({ from, to }) => [from, to]),
      [
        [fromMs(noonMs - 7 * day), undefined],
        [undefined, '2020-01-01T00:00:00.000000Z'],
        ['2019-12-31T23:00:00.000000Z', undefined],
      ],
    )
  })

  test('of subjobs without a job are all there are, as they are counted', async () => {
    const { ask, asked } = readApp()
    await ask('/v1/subjobs?parent=missing')
    assert.equal(asked[0]?.from, undefined)
  })

  test('passes every filter on', async () => {
    const { ask, asked } = readApp()
    const app_id = idOf('app')
    await ask(
      `/v1/jobs?time=ended&sort=oldest&status=failed,canceled&status=running&app_name=apc&exact_app=litho-apc&app_version=2.1&app_id=${app_id.toUpperCase()}&site=fab1&business_key=L1&tool=SCN-05&error_type=T3&q=x&min_duration_s=1.5&max_duration_s=9&min_attempts=2&archive=true&limit=7`,
    )
    assert.deepEqual(asked[0], {
      time: 'ended',
      order: 'asc',
      from: undefined,
      to: undefined,
      status: ['failed', 'canceled', 'running'],
      appName: 'apc',
      exactApp: 'litho-apc',
      appVersion: '2.1',
      appId: app_id,
      site: 'fab1',
      businessKey: 'L1',
      facts: { tool: 'SCN-05', error_type: 'T3' },
      flags: undefined,
      q: 'x',
      minDurationS: 1.5,
      maxDurationS: 9,
      minAttempts: 2,
      jobId: undefined,
      parent: undefined,
      archive: true,
      limit: 7,
      cursor: undefined,
    })
  })

  test('goes by the end where only ended jobs are asked for', async () => {
    const { ask, asked } = readApp()
    const time = async (query: string) => {
      await ask(`/v1/jobs?${query}`)
      return asked.at(-1)?.time
    }
    assert.equal(await time('limit=1'), 'active')
    for (const status of ['failed', 'succeeded', 'canceled', 'failed,canceled']) {
      assert.equal(await time(`status=${status}`), 'ended')
    }
    assert.equal(await time('status=running'), 'active')
    assert.equal(await time('status=running,failed'), 'active')
    assert.equal(await time('status=failed&time=started'), 'started')
  })

  test('lists flagged jobs without a window, with their total', async () => {
    const { ask, asked, json } = readApp({ world: shift(20) })
    const { total } = await json('/v1/jobs?flag=stuck,lost&flag=late&limit=1')
    assert.equal(typeof total.count, 'number')
    assert.equal(total.complete, true)
    assert.deepEqual(asked.at(-1)?.flags, ['stuck', 'lost', 'late'])
    assert.equal(asked.at(-1)?.from, undefined)
    assert.equal('total' in (await json('/v1/jobs')), false)
    for (const other of ['status=failed', 'time=ended']) {
      assert.equal((await ask(`/v1/jobs?flag=lost&${other}`)).status, 422)
    }
    // One that waits is late, and neither stuck nor lost.
    assert.equal((await ask('/v1/jobs?flag=lost&flag=stuck&status=queued')).status, 422)
    assert.equal((await ask('/v1/jobs?flag=late&status=queued')).status, 200)
  })

  test('reads an unescaped +', async () => {
    const { ask, asked } = readApp()
    await ask('/v1/jobs?from=2026-03-01T02:00:00+02:00')
    assert.equal(asked[0]?.from, '2026-03-01T00:00:00.000000Z')
  })

  const refused: [query: string, field: string, says: RegExp][] = [
    ['statu=failed', 'statu', /did you mean status\?/],
    ['job_id=x', 'job_id', /did you mean app_id\?|takes/],
    ['completely_else=1', 'completely_else', /takes from, to/],
    ['limit=5&limit=6', 'limit', /more than once/],
    ['app_name=', 'app_name', /is empty/],
    ['q=%00', 'q', /NUL/],
    ['status=broken', 'status', /running, succeeded, failed, canceled/],
    ['from=yesterday', 'from', /RFC 3339/],
    ['from=2026-03-01', 'from', /RFC 3339/],
    ['from=2026-03-01T00:00:00', 'from', /RFC 3339/],
    ['from=2026-03-01T00:00:00Z&to=2026-03-01T00:00:00Z', 'from', /before to/],
    ['time=finished', 'time', /started, ended, seen/],
    ['sort=-started', 'sort', /newest, oldest/],
    ['app_id=4711', 'app_id', /UUID/],
    ['site=..', 'site', /letters/],
    ['limit=0', 'limit', /1 to 1000/],
    ['limit=1001', 'limit', /1 to 1000/],
    ['limit=ten', 'limit', /1 to 1000; got "ten"/],
    ['limit=0x10', 'limit', /1 to 1000/],
    ['min_duration_s=-1', 'min_duration_s', /0 or greater/],
    ['max_duration_s=Infinity', 'max_duration_s', /0 or greater/],
    ['min_duration_s=2&max_duration_s=1', 'min_duration_s', /max_duration_s/],
    ['format=xlsx', 'format', /json, csv, ndjson/],
    ['cursor=abc', 'cursor', /next_cursor/],
    ['__proto__=1', '__proto__', /unknown parameter/],
  ]
  for (const [query, field, says] of refused) {
    test(`refuses ${query}, names ${field}, and asks nothing`, async () => {
      const { ask, asked } = readApp()
      const response = await ask(`/v1/jobs?${query}`)
      assert.equal(response.status, 422)
      assert.equal(response.headers.get('content-type'), 'application/problem+json')
      const problem = (await response.json()) as Refusal
      assert.equal(problem.field, field)
      assert.match(problem.detail, says)
      assert.equal(asked.length, 0)
    })
  }

  test('names every wrong parameter in one answer', async () => {
    const { json } = readApp()
    const { detail } = await json('/v1/jobs?limit=0&statu=x&time=never')
    assert.match(detail, /statu: .*limit: .*time: |statu: .*time: .*limit: /)
  })

  test('distinguishes an overloaded store from a bug', async () => {
    const { json: _, ...busy } = readApp({
      reader: {
        ...readApp().world,
        findJobs: async () => {
          throw new AppError('overloaded', 'the query took too long', { retryAfterS: 1 })
        },
      } as never,
    })
    const response = await busy.ask('/v1/jobs')
    assert.equal(response.status, 503)
    assert.equal(response.headers.get('retry-after'), '1')
  })
})

describe('pages of GET /v1/jobs', () => {
  type Next = { items: { job_id: string }[]; next_cursor: string | null }

  test('are the complete list, with ties, and while rows arrive', async () => {
    const jobs = fc.array(fc.integer({ min: 0, max: 5 }), { maxLength: 40 })
    const property = fc.asyncProperty(
      jobs,
      fc.integer({ min: 1, max: 7 }),
      fc.constantFrom('newest', 'oldest'),
      async (micros, limit, sort) => {
        const world = emptyWorld(() => noon)
        world.jobs = micros.map((us, i) =>
          aJob({ id: idOf(`${i}`), startedAt: fromMicros(toMicros(noon) - BigInt(us)) }),
        )
        const before = world.jobs.map(({ id }) => id)
        const { ask } = readApp({ world })
        const seen: string[] = []
        let path: string | undefined = `/v1/jobs?limit=${limit}&sort=${sort}`
        while (path !== undefined) {
          assert.ok(seen.length < 200, 'the pages do not end')
          const response = await ask(path)
          const page = (await response.json()) as Next
          seen.push(...page.items.map((job) => job.job_id))
          path = /^<([^>]+)>; rel="next"$/.exec(response.headers.get('link') ?? '')?.[1]
          assert.equal(path === undefined, page.next_cursor === null)
          const at = sort === 'newest' ? noonMs + 60_000 : noonMs - day
          if (seen.length < 100)
            world.jobs.push(aJob({ id: idOf(`new ${seen.length}`), startedAt: fromMs(at) }))
        }
        const old = seen.filter((id) => before.includes(id))
        assert.deepEqual([...old].sort(), [...before].sort())
      },
    )
    await fc.assert(property, { numRuns: 60 })
  })

  test('keep the window of the first page', async () => {
    const { ask } = readApp({ world: shift(60) })
    const link =
      (await ask('/v1/jobs?limit=2&status=succeeded&status=failed')).headers.get('link') ?? ''
    const next = new URLSearchParams(/\?([^>]+)>/.exec(link)?.[1])
    assert.equal(next.get('from'), fromMs(noonMs - 7 * day))
    assert.deepEqual(next.getAll('status'), ['succeeded', 'failed'])
  })

  test('refuse a cursor of another list', async () => {
    const { ask, json } = readApp({ world: shift(5) })
    const { next_cursor } = await json('/v1/jobs?limit=2')
    for (const other of ['sort=oldest', 'time=ended']) {
      const response = await ask(`/v1/jobs?${other}&cursor=${next_cursor}`)
      assert.equal(response.status, 422)
      assert.match(((await response.json()) as Refusal).detail, /time=active&sort=newest/)
    }
  })

  test('refuse a cursor over several sites', async () => {
    const { ask } = readApp()
    const position = { at: noon, id: idOf('x') }
    const sites = new Map([['fab1', position]])
    const cursor = cursorToWire({ ...position, sites }, { time: 'started', order: 'desc' })
    assert.equal((await ask(`/v1/jobs?cursor=${cursor}`)).status, 422)
  })
})

describe('a cursor', () => {
  const plain = { noNullPrototype: true }
  const position = fc.record(
    { at: fc.bigInt({ min: 0n, max: toMicros(noon) }).map(fromMicros), id: fc.uuid() },
    plain,
  )
  const sites = fc.option(
    fc
      .array(fc.tuple(fc.stringMatching(/^[A-Za-z0-9._-]{1,64}$/), position), { maxLength: 4 })
      .map((entries) => new Map(entries))
      .filter((map) => map.size > 0),
    { nil: undefined },
  )
  const cursors = fc.record(
    {
      position,
      sites,
      time: fc.constantFrom('started', 'ended', 'seen'),
      order: fc.constantFrom('asc', 'desc'),
    },
    plain,
  )

  test('reads back as it was written', () => {
    fc.assert(
      fc.property(cursors, ({ position, sites, ...list }) => {
        const cursor = sites ? { ...position, sites } : position
        assert.deepEqual(cursorFromWire(cursorToWire(cursor, list)), { ...cursor, ...list })
      }),
    )
  })

  test('that was changed anywhere is refused', () => {
    const at = fc.nat()
    const letter = fc.stringMatching(/^[A-Za-z0-9_-]$/)
    fc.assert(
      fc.property(cursors, at, letter, ({ position, ...list }, where, other) => {
        const text = cursorToWire(position, list)
        const i = where % text.length
        fc.pre(text[i] !== other)
        assert.equal(cursorFromWire(text.slice(0, i) + other + text.slice(i + 1)), undefined)
        assert.equal(cursorFromWire(text.slice(0, i)), undefined)
      }),
    )
  })
})

describe('one job', () => {
  const world = emptyWorld(() => noon)
  const lot = addLot(world, noon)

  test('is answered with its own duration and its subjobs counted', async () => {
    const { json } = readApp({ world })
    const body = await json(`/v1/jobs/${lot.id.toUpperCase()}`)
    assert.equal(body.job_id, lot.id)
    assert.equal(body.duration_s, null)
    assert.equal(body.subjobs.total, 25)
    assert.equal(body.subjobs.failed, 1)
    assert.deepEqual(body.metadata, lot.metadata)
  })

  test('may be a subjob', async () => {
    const { json } = readApp({ world })
    const body = await json(`/v1/jobs/${idOf('wafer 3')}`)
    assert.deepEqual([body.subjob_id, body.job_id, body.sub_key], [idOf('wafer 3'), lot.id, 'W03'])
  })

  test('has subjobs of any age', async () => {
    const { json, asked } = readApp({ world })
    const body = await json(`/v1/jobs/${lot.id}/subjobs?status=failed`)
    assert.deepEqual(
      body.items.map((item: { sub_key: string }) => item.sub_key),
      ['W11'],
    )
    assert.equal(asked[0]?.from, undefined)
    assert.equal(asked[0]?.jobId, lot.id)
    const same = await json(`/v1/subjobs?status=failed&job_id=${lot.id}`)
    assert.deepEqual(same.items, body.items)
  })

  test('has events, and says when there may be more', async () => {
    const { json } = readApp({ world })
    const all = await json(`/v1/jobs/${lot.id}/events`)
    assert.deepEqual([all.count, all.complete], [4, true])
    const some = await json(`/v1/jobs/${lot.id}/events?limit=3`)
    assert.deepEqual([some.count, some.complete], [3, false])
    const rest = await json(`/v1/jobs/${lot.id}/events?limit=3&cursor=${some.next_cursor}`)
    assert.deepEqual([...some.items, ...rest.items], all.items)
    assert.deepEqual([rest.complete, rest.next_cursor], [true, null])
  })

  for (const rest of ['', '/subjobs', '/events']) {
    test(`is 404 when it does not exist, 422 when the id is invalid: /v1/jobs/{id}${rest}`, async () => {
      const { ask } = readApp({ world })
      const none = await ask(`/v1/jobs/${idOf('unknown')}${rest}`)
      assert.equal(none.status, 404)
      assert.match(((await none.json()) as Refusal).detail, /no job or subjob/)
      const wrong = await ask(`/v1/jobs/4711${rest}`)
      assert.equal(wrong.status, 422)
      assert.equal(((await wrong.json()) as Refusal).field, 'id')
    })
  }
})

describe('the other questions', () => {
  test('list apps, of one site when it is given', async () => {
    const { json } = readApp({ world: shift(50) })
    assert.ok((await json('/v1/apps')).count > 3)
    assert.equal((await json('/v1/apps?site=fab9')).count, 0)
  })

  test('count jobs by time and group', async () => {
    const { json, askedOf } = readApp({ world: shift(50) })
    const body = await json('/v1/stats?bucket=day&group_by=app,status')
    const total = body.items.reduce((sum: number, row: { count: number }) => sum + row.count, 0)
    assert.equal(total, 50)
    const { groupBy, from } = askedOf.stats as StatsFilter
    assert.deepEqual(groupBy, ['app', 'status'])
    assert.equal(from, fromMs(noonMs - 7 * day))
  })

  test('refuse statistics with too many buckets', async () => {
    const { ask } = readApp()
    const response = await ask('/v1/stats?bucket=5m&from=2020-01-01T00:00:00Z')
    assert.equal(response.status, 422)
    assert.equal(((await response.json()) as Refusal).field, 'bucket')
  })

  test('list sources in pages, and refuse what they do not know', async () => {
    const world = emptyWorld(() => noon)
    world.sources = someSources(noon)
    const { ask, json } = readApp({ world })
    const first = await json('/v1/sources?limit=2')
    assert.equal(first.items.length, 2)
    const rest = await json(`/v1/sources?limit=2&cursor=${first.next_cursor}`)
    assert.deepEqual([rest.items.length, rest.next_cursor], [1, null])
    for (const query of ['stat=silent', 'state=dead', 'cursor=x']) {
      const refused = (await (await ask(`/v1/sources?${query}`)).json()) as Refusal
      assert.equal(refused.field, query.split('=')[0])
    }
  })
})

describe('GET /v1/jobs/by-id', () => {
  test('answers jobs and subjobs in the order of the ids, and leaves out what does not exist', async () => {
    const world = emptyWorld(() => noon)
    const lot = addLot(world, noon)
    const wafer = world.subjobs[0]!
    const { json } = readApp({ world })
    const body = await json(`/v1/jobs/by-id?id=${wafer.id},${idOf('x')}&id=${lot.id.toUpperCase()}`)
    assert.equal(body.count, 2)
    assert.equal(body.items[0].subjob_id, wafer.id)
    assert.equal(body.items[1].job_id, lot.id)
  })

  test('refuses ids that are missing, too many, or not UUIDs, and names id', async () => {
    const { ask } = readApp()
    const many = Array.from({ length: 101 }, (_, i) => idOf(`${i}`)).join(',')
    for (const query of ['', '?id=', '?id=x', `?id=${idOf('x')},`, `?id=${many}`]) {
      const response = await ask(`/v1/jobs/by-id${query}`)
      const { field, detail } = (await response.json()) as Refusal
      assert.deepEqual([response.status, field], [422, 'id'], query)
      assert.match(detail, /a comma-separated list of 1 to 100 UUIDs|is empty/)
    }
  })
})

describe('every route', () => {
  test('requires a token with scope read where tokens are required', async (t) => {
    const { mkdtempSync, rmSync } = await import('node:fs')
    const { newToken } = await import('../../src/platform/auth.ts')
    const { tmpdir } = await import('node:os')
    const folder = mkdtempSync(`${tmpdir()}/wafermon-tokens-`)
    t.after(() => rmSync(folder, { recursive: true }))
    const tokensFile = `${folder}/tokens`
    const read = newToken(tokensFile, ['read'])
    const ingest = newToken(tokensFile, ['ingest'])
    const { ask } = readApp({ auth: { tokensFile, anonymous: [] } })
    const id = idOf('x')
    const paths = [
      'jobs',
      'subjobs',
      `jobs/by-id?id=${id}`,
      `jobs/${id}`,
      `jobs/${id}/events`,
      `jobs/${id}/subjobs`,
      'apps',
      'stats',
      'sources',
      'stream',
    ]
    for (const path of [...paths.map((one) => `/v1/${one}`), '/metrics']) {
      const as = (token: string) => ({ headers: { authorization: `Bearer ${token}` } })
      assert.equal((await ask(path)).status, 401, path)
      assert.equal((await ask(path, as('wfm_wrong'))).status, 401, path)
      assert.equal((await ask(path, as(ingest))).status, 403, path)
      assert.ok([200, 404].includes((await ask(path, as(read))).status), path)
      assert.equal((await ask(path, { method: 'HEAD' })).status, 401, path)
    }
    for (const path of ['/v1/healthz', '/openapi.json', '/docs']) {
      assert.equal((await ask(path)).status, 200, path)
    }
  })

  test('answers HEAD without a body, OPTIONS with the allowed methods, and refuses the others', async () => {
    const { ask } = readApp({ world: shift(3) })
    for (const path of ['/v1/jobs', '/v1/jobs?format=csv', '/v1/stream', '/v1/healthz', '/docs']) {
      const head = await ask(path, { method: 'HEAD' })
      assert.deepEqual([head.status, await head.text()], [200, ''], path)
      const options = await ask(path, { method: 'OPTIONS' })
      assert.deepEqual([options.status, options.headers.get('allow')], [204, 'GET, HEAD, OPTIONS'])
      const wrong = await ask(path, { method: 'DELETE' })
      assert.deepEqual([wrong.status, wrong.headers.get('allow')], [405, 'GET, HEAD, OPTIONS'])
      assert.match(((await wrong.json()) as Refusal).detail, /not DELETE/)
    }
  })

  test('unknown paths are 404 in every method', async () => {
    const { ask } = readApp()
    for (const method of ['GET', 'POST', 'OPTIONS']) {
      assert.equal((await ask('/v1/jobz', { method })).status, 404)
    }
  })

  test('an unknown path is not given back whole', async () => {
    const { ask } = readApp()
    const { detail } = (await (await ask(`/v1/${'x'.repeat(5000)}`)).json()) as Refusal
    assert.match(detail, /^there is no GET \/v1\/x{196}…$/)
  })

  test('limits of the role are the limits of the document', async () => {
    const { json } = readApp()
    const { paths } = await json('/openapi.json')
    const limit = paths['/v1/jobs'].get.parameters.find(
      (one: { name: string }) => one.name === 'limit',
    )
    assert.deepEqual(limit.schema, {
      type: 'integer',
      minimum: 1,
      maximum: limits.maxLimit,
      default: limits.defaultLimit,
    })
  })
})
