import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { setTimeout as wait } from 'node:timers/promises'
import fc from 'fast-check'
import { AppError } from '../../src/core/errors.ts'
import type { Cursor, JobFilter, JobReader } from '../../src/core/job.ts'
import { appsQuestion } from '../../src/core/questions/apps.ts'
import { type CauseCount, causesQuestion, maxCauses } from '../../src/core/questions/causes.ts'
import { runningQuestion } from '../../src/core/questions/running.ts'
import { type StatsFilter, type StatsRow, statsQuestion } from '../../src/core/questions/stats.ts'
import { fromMs } from '../../src/core/time.ts'
import { mergedReader } from '../../src/sites/merged-reader.ts'
import { arrayReader, emptyWorld } from '../support/array-reader.ts'
import { aJob, idOf } from '../support/sample-jobs.ts'

const noon = '2026-03-01T12:00:00.000000Z'
const never = new AbortController().signal
const filter: JobFilter = { time: 'started', order: 'desc', limit: 100 }

function siteOf(id: string, minutes: readonly number[]) {
  const world = emptyWorld(() => noon)
  world.jobs = minutes.map((m, i) =>
    aJob({ id: idOf(`${id} ${i}`), siteId: id, startedAt: fromMs(Date.parse(noon) - m * 60_000) }),
  )
  return { id, world, reader: arrayReader(world) }
}

const broken = (reader: JobReader): JobReader =>
  Object.fromEntries(
    Object.keys(reader).map((name) => [
      name,
      async () => {
        throw new AppError('unreachable', 'planted')
      },
    ]),
  ) as never

const hanging = (reader: JobReader): JobReader =>
  Object.fromEntries(
    Object.keys(reader).map((name) => [name, () => new Promise(() => {})]),
  ) as never

/** Looks at two minutes of its list for each page, as one that reads an archive may. */
const searching = (reader: JobReader): JobReader => ({
  ...reader,
  async findJobs(asked, signal) {
    const page = await reader.findJobs(asked, signal)
    const at = fromMs(Date.parse(asked.cursor?.at ?? noon) - 120_000)
    const last = { at, id: 'ffffffff-ffff-ffff-ffff-ffffffffffff' }
    const items = page.items.filter(({ startedAt }) => startedAt > last.at)
    const isWhole = items.length === page.items.length
    return isWhole ? page : { ...page, items, nextCursor: last }
  },
})

const merged = (sites: { id: string; reader: JobReader }[], deadlineMs = 5000) =>
  mergedReader({ sites, deadlineMs })

describe('pages over several sites', () => {
  test('are bounded in bytes, and lose no job of any site', async () => {
    const heavy = { x: 'x'.repeat(1_000_000) }
    const sites = [1, 2, 3].map((n) => siteOf(`fab${n}`, [n, n + 3, n + 6, n + 9, n + 12, n + 15]))
    for (const { world } of sites) {
      world.jobs = world.jobs.map((job) => ({ ...job, metadata: heavy }))
    }
    const sizes: number[] = []
    const seen = new Set<string>()
    let cursor: Cursor | undefined
    do {
      const page = await merged(sites)().reader.findJobs({ ...filter, cursor }, never)
      sizes.push(page.items.length)
      for (const { id } of page.items) seen.add(id)
      cursor = page.nextCursor ?? undefined
    } while (cursor)
    assert.deepEqual(sizes, [16, 2])
    assert.equal(seen.size, 18)
  })

  test('are the one list in its order, whatever the sites, ties and page size', async () => {
    const minutes = fc.array(fc.integer({ min: 0, max: 4 }), { maxLength: 15 })
    const property = fc.asyncProperty(
      fc.array(minutes, { minLength: 1, maxLength: 4 }),
      fc.integer({ min: 1, max: 6 }),
      fc.constantFrom('asc', 'desc'),
      async (all, limit, order) => {
        const sites = all.map((own, i) => siteOf(`fab${i}`, own))
        const one = emptyWorld(() => noon)
        one.jobs = sites.flatMap(({ world }) => world.jobs)
        const whole = await arrayReader(one).findJobs({ ...filter, order }, never)
        const seen: string[] = []
        let cursor: Cursor | undefined
        do {
          const { reader } = merged(sites)()
          const page = await reader.findJobs({ ...filter, order, limit, cursor }, never)
          seen.push(...page.items.map(({ id }) => id))
          cursor = page.nextCursor ?? undefined
        } while (cursor)
        assert.deepEqual(
          seen,
          whole.items.map(({ id }) => id),
        )
      },
    )
    await fc.assert(property, { numRuns: 80 })
  })

  test('neither lose nor repeat rows of a site that was away for some of them', async () => {
    const property = fc.asyncProperty(
      fc.array(fc.integer({ min: 0, max: 9 }), { maxLength: 12 }),
      fc.array(fc.integer({ min: 0, max: 9 }), { minLength: 1, maxLength: 12 }),
      fc.array(fc.boolean(), { maxLength: 6 }),
      async (here, there, away) => {
        const [a, b] = [siteOf('fab1', here), siteOf('fab2', there)]
        const seen: string[] = []
        let cursor: Cursor | undefined
        for (let i = 0; i < 60; i++) {
          const sites = [a, away[i] ? { id: 'fab2', reader: broken(b.reader) } : b]
          const page = await merged(sites)().reader.findJobs({ ...filter, limit: 3, cursor }, never)
          seen.push(...page.items.map(({ id }) => id))
          if (page.nextCursor) cursor = page.nextCursor
          else if (!away[i]) break
        }
        assert.equal(new Set(seen).size, seen.length)
        const all = [...a.world.jobs, ...b.world.jobs].map(({ id }) => id)
        assert.deepEqual([...seen].sort(), all.sort())
      },
    )
    await fc.assert(property, { numRuns: 60 })
  })

  test('of sites that end pages early, empty ones too, are the one list, each row once', async () => {
    const property = fc.asyncProperty(
      fc.array(fc.integer({ min: 0, max: 9 }), { maxLength: 12 }),
      fc.array(fc.integer({ min: 0, max: 9 }), { maxLength: 12 }),
      fc.integer({ min: 1, max: 5 }),
      async (here, there, limit) => {
        const [a, b] = [siteOf('fab1', here), siteOf('fab2', there)]
        const sites = [a, { id: 'fab2', reader: searching(b.reader) }]
        const one = emptyWorld(() => noon)
        one.jobs = [...a.world.jobs, ...b.world.jobs]
        const whole = await arrayReader(one).findJobs(filter, never)
        const seen: string[] = []
        let cursor: Cursor | undefined
        for (let pages = 0; pages < 100; pages++) {
          const page = await merged(sites)().reader.findJobs({ ...filter, limit, cursor }, never)
          seen.push(...page.items.map(({ id }) => id))
          if (!page.nextCursor) break
          cursor = page.nextCursor
        }
        assert.deepEqual(
          seen,
          whole.items.map(({ id }) => id),
        )
      },
    )
    await fc.assert(property, { numRuns: 60 })
  })

  test('continue from a position in the whole list', async () => {
    const sites = [siteOf('fab1', [1, 3]), siteOf('fab2', [2, 4])]
    const behind = sites[1]!.world.jobs[0]!
    const cursor = { at: behind.startedAt, id: behind.id }
    const page = await merged(sites)().reader.findJobs({ ...filter, cursor, limit: 1 }, never)
    assert.deepEqual(
      page.items.map(({ siteId }) => siteId),
      ['fab1'],
    )
    assert.equal(page.nextCursor?.sites?.size, 2)
  })

  test('say what each site may miss', async () => {
    const sites = [siteOf('fab1', [1]), siteOf('fab2', [2])]
    const gap = { source: 'bn-1', from: 3, to: 4 }
    sites[1]!.world.completeness = { gaps: [gap], hotFrom: noon, archive: 'available' }
    const asked = merged(sites)()
    const { completeness } = await asked.reader.findJobs(filter, never)
    assert.deepEqual(completeness.gaps, [{ ...gap, source: 'fab2/bn-1' }])
    assert.deepEqual([completeness.hotFrom, completeness.archive], [noon, 'off'])
    assert.deepEqual(
      asked.sites().details.map(({ id, status }) => [id, status]),
      [
        ['fab1', 'successful'],
        ['fab2', 'partial'],
      ],
    )
  })
})

describe('a question to several sites', () => {
  test('of counts says which sites may miss jobs, and which did not answer', async () => {
    const [a, b, c] = [siteOf('fab1', [1]), siteOf('fab2', [2]), siteOf('fab3', [3])]
    const [from, to] = [fromMs(Date.parse(noon) - 3_600_000), noon]
    const causes = { from, to, recentFrom: from, minFailed: 0 }
    const asks: ((reader: JobReader) => Promise<{ partial?: boolean | undefined }>)[] = [
      (reader) => reader.askPage(runningQuestion, {}, never),
      (reader) => reader.askPage(causesQuestion, causes, never),
      (reader) => reader.askPage(statsQuestion, { bucket: 'day', groupBy: [] }, never),
    ]
    const statuses = async (sites: Parameters<typeof merged>[0], ask: (typeof asks)[number]) => {
      const asked = merged(sites)()
      const { partial } = await ask(asked.reader)
      return [partial, ...asked.sites().details.map(({ status }) => status)]
    }
    for (const ask of asks) {
      b.world.completeness = {}
      assert.deepEqual(await statuses([a, b], ask), [false, 'successful', 'successful'])
      const away = { id: c.id, reader: broken(c.reader) }
      assert.deepEqual(await statuses([a, away], ask), [true, 'successful', 'failed'])
      for (const known of [{ missing: 3 }, { sourcesSilent: 1 }]) {
        b.world.completeness = known
        assert.deepEqual(await statuses([a, b], ask), [true, 'successful', 'partial'])
      }
    }
  })

  test('of causes says that values are left out, at a site or in the merging', async () => {
    const [from, to] = [fromMs(Date.parse(noon) - 3_600_000), noon]
    const params = { from, to, recentFrom: from, minFailed: 1 }
    const causes = (site: string, n: number): CauseCount[] =>
      Array.from({ length: n }, (_, i) => ({
        ...{ fact: 'tool', value: `${site} ${i}`, of: null },
        ...{ ended: 5, failed: 2, recentEnded: 0, recentFailed: 0 },
      }))
    const ask = (...sites: { n: number; cut?: boolean }[]) =>
      merged(
        sites.map(({ n, cut }, i) => {
          const { id, reader } = siteOf(`fab${i}`, [])
          const page = { items: causes(id, n), next: null, cut }
          return { id, reader: { ...reader, askPage: async () => page as never } }
        }),
      )().reader.askPage(causesQuestion, params, never)
    const { items, cut } = await ask({ n: maxCauses - 1 }, { n: 1 })
    assert.deepEqual([items.length, cut], [maxCauses, false])
    const more = await ask({ n: maxCauses - 1 }, { n: 2 })
    assert.deepEqual([more.items.length, more.cut], [maxCauses, true])
    assert.equal((await ask({ n: 1, cut: true }, { n: 2 })).cut, true)
  })

  test('is answered without those that fail or hang, which are named', async () => {
    const [a, b, c] = [siteOf('fab1', [1]), siteOf('fab2', [2]), siteOf('fab3', [3])]
    const sites = [
      a,
      { id: b.id, reader: broken(b.reader) },
      { id: c.id, reader: hanging(c.reader) },
    ]
    const asked = merged(sites, 50)()
    const page = await asked.reader.findJobs(filter, never)
    assert.equal(page.items.length, 1)
    const { details, ...counts } = asked.sites()
    assert.deepEqual(counts, { total: 3, successful: 1, partial: 0, failed: 2, skipped: 0 })
    assert.deepEqual(
      details.map(({ error }) => error),
      [null, 'planted', 'did not answer within 0.05 s'],
    )
  })

  test('fails when no site answers, and says why', async () => {
    const { id, reader } = siteOf('fab1', [1])
    const { reader: all } = merged([{ id, reader: broken(reader) }])()
    for (const ask of [
      () => all.findJobs(filter, never),
      () => all.ask(appsQuestion, {}, never),
      () => all.ask(statsQuestion, { bucket: 'day', groupBy: [] }, never),
    ]) {
      await assert.rejects(ask(), { code: 'unreachable', message: /fab1: planted/ })
    }
  })

  test('about a job waits for no other site once it is found', async () => {
    const [a, b] = [siteOf('fab1', [1]), siteOf('fab2', [])]
    const asked = merged([a, { id: b.id, reader: hanging(b.reader) }], 60_000)()
    const { id } = a.world.jobs[0]!
    assert.equal((await asked.reader.getJob(id, never))?.job.id, id)
    assert.equal(asked.sites().skipped, 1)
    assert.deepEqual(await asked.reader.findEvents(id, { order: 'desc', limit: 10 }, never), {
      items: [],
      next: null,
    })
  })

  test('about an unknown job says so only when every site answers', async () => {
    const [a, b] = [siteOf('fab1', [1]), siteOf('fab2', [])]
    assert.equal(await merged([a, b])().reader.getJob(idOf('x'), never), undefined)
    const sites = [a, { id: b.id, reader: broken(b.reader) }]
    await assert.rejects(merged(sites)().reader.getJob(idOf('x'), never), { code: 'unreachable' })
  })

  test('ends with its caller', async () => {
    const { id, reader } = siteOf('fab1', [1])
    const gone = new AbortController()
    const slow = {
      ...reader,
      findJobs: (_: JobFilter, signal: AbortSignal) =>
        wait(60_000, undefined as never, { signal }) as never,
    }
    const answer = merged([{ id, reader: slow }])().reader.findJobs(filter, gone.signal)
    gone.abort(new Error('left'))
    await assert.rejects(answer, { message: 'left' })
  })
})

describe('statistics over several sites', () => {
  const row = (changes: Partial<StatsRow>): StatsRow => ({
    bucket: noon,
    siteId: null,
    appName: null,
    status: 'succeeded',
    count: 1,
    durationAvgS: 1,
    durationMinS: 1,
    durationMaxS: 1,
    durationP50S: 1,
    durationP95S: 1,
    durationP99S: 1,
    failedAttempts: 1,
    queueP50S: 1,
    queueP95S: 1,
    queueP99S: 1,
    ...changes,
  })
  const mergeRows = (rows: StatsRow[], filter: StatsFilter) =>
    statsQuestion.merge([{ site: 'fab1', items: rows }], filter)
  const none = { durationAvgS: null, durationMinS: null, durationMaxS: null }

  test('add counts up and weigh averages, and leave out what does not add up', () => {
    const rows = [
      row({ count: 3, durationAvgS: 10, durationMinS: 2, durationMaxS: 30 }),
      row({ count: 1, durationAvgS: 50, durationMinS: 50, durationMaxS: 50 }),
      row({ count: 5, status: 'running', ...none }),
    ]
    const [sum, ...more] = mergeRows(rows, { bucket: 'day', groupBy: [] })
    assert.equal(more.length, 0)
    assert.deepEqual(
      [sum?.count, sum?.durationAvgS, sum?.durationMinS, sum?.durationMaxS, sum?.durationP50S],
      [9, 20, 2, 50, null],
    )
    assert.equal(sum?.status, null)
  })

  test('have percentiles from the histograms of all sites, where all send one', () => {
    const rows = [
      row({ count: 3, durationMaxS: 9, durationHistogram: '0:2 24:1', queueHistogram: '0:1' }),
      row({ count: 1, durationMaxS: 20, durationHistogram: '34:1', queueHistogram: '' }),
    ]
    const filter = { bucket: 'day', groupBy: [] } as const
    const [sum] = mergeRows(rows, { ...filter, histogram: true })
    assert.deepEqual(
      [sum?.durationHistogram, sum?.queueHistogram, sum?.durationP95S],
      ['0:2 24:1 34:1', '0:1', 2 ** (34.5 / 8)],
    )
    assert.ok(Math.abs(sum!.durationP50S! - 1) < 0.0443)
    // They are answered to those who ask, and asked of sites anyway.
    const [plain] = mergeRows(rows, filter)
    assert.equal(plain?.durationP50S, sum!.durationP50S)
    assert.equal('durationHistogram' in plain!, false)
    assert.equal(statsQuestion.forSite?.(filter).histogram, true)
    const [{ durationHistogram: _, ...older }, newer] = rows as [StatsRow, StatsRow]
    assert.equal(mergeRows([older, newer], filter)[0]?.durationP50S, null)
  })

  test('stay whole by site', () => {
    const rows = [row({ siteId: 'fab2' }), row({ siteId: 'fab1' })]
    const merged = mergeRows(rows, { bucket: 'day', groupBy: ['site'] })
    assert.deepEqual(
      merged.map(({ siteId, durationP50S }) => [siteId, durationP50S]),
      [
        ['fab1', 1],
        ['fab2', 1],
      ],
    )
  })
})
