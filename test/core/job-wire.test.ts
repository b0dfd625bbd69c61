import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { estimateBytes, measureJson } from '../../src/core/answer-size.ts'
import { completenessTable } from '../../src/core/completeness-wire.ts'
import type { Attempt, Job, JobPage } from '../../src/core/job.ts'
import {
  detailFromWire,
  detailToWire,
  jobFromWire,
  jobTable,
  jobToValues,
  jobToWire,
  subjobTable,
} from '../../src/core/job-wire.ts'
import { pageFromWire, pageHeadToWire } from '../../src/core/page-wire.ts'
import { appsQuestion } from '../../src/core/questions/apps.ts'
import { sourcesQuestion } from '../../src/core/questions/sources.ts'
import { statsQuestion } from '../../src/core/questions/stats.ts'
import { aJob, idOf, someSources } from '../support/sample-jobs.ts'

const noon = '2026-03-01T12:00:00.000000Z'
const usual = { runs: 20, p05S: 1, p50S: 2.5, p95S: 9 }
const aSubjob = (changes: Partial<Job> = {}) =>
  aJob({ entityType: 'subjob', parentId: idOf('lot'), jobKey: null, subKey: 'W03', ...changes })

const overTheWire = (value: unknown): unknown => JSON.parse(JSON.stringify(value))

const jobs = fc
  .record({
    subjob: fc.boolean(),
    status: fc.constantFrom('running' as const, 'failed' as const),
    usual: fc.option(fc.constant(usual), { nil: undefined }),
    metadata: fc.dictionary(fc.oneof(fc.string(), fc.constant('__proto__')), fc.jsonValue()),
    lastError: fc.option(fc.string()),
    progress: fc.option(fc.double({ min: 0, max: 1, noNaN: true })),
    late: fc.boolean(),
  })
  .map(({ subjob, usual, ...changes }) => {
    const made = (subjob ? aSubjob : aJob)(changes as Partial<Job>)
    return usual ? { ...made, usual } : made
  })

const anAttempt = (changes: Partial<Attempt>): Attempt => ({
  attempt: 1,
  status: 'succeeded',
  queuedAt: null,
  queueS: null,
  startedAt: '2026-03-01T12:00:00.000000Z',
  endedAt: '2026-03-01T12:01:00.000000Z',
  durationS: 60,
  exitCode: null,
  lastError: null,
  ...changes,
})

describe('a job on the wire', () => {
  test('comes back as it was sent', () => {
    fc.assert(
      fc.property(jobs, (job) => {
        assert.deepEqual(overTheWire(jobFromWire(overTheWire(jobToWire(job)))), overTheWire(job))
      }),
    )
  })

  test('is never larger than it was taken for when its page was filled', () => {
    const n = -1.234567890123457e-300
    const long = {
      ...{ siteId: 's'.repeat(64), appName: '\n'.repeat(200), appVersion: '😀'.repeat(64) },
      ...{ durationS: n, cpuUserS: n, cpuSystemS: n, memMaxMb: n, progress: n, queueS: n },
      ...{ attempt: 1_000_000, queuedAt: noon, lastQueuedAt: noon },
      ...{
        errorCount: 2 ** 53,
        eventCount: 2 ** 53,
        usual: { runs: n, p05S: n, p50S: n, p95S: n },
      },
      ...{ jobKey: '"'.repeat(256), subKey: '\u0001'.repeat(256), lastError: 'é'.repeat(2000) },
    }
    const isHeld = (job: Job) => measureJson(jobToWire(job)) <= estimateBytes(job)
    assert.ok(isHeld(aJob(long)) && isHeld(aSubjob(long)))
    fc.assert(fc.property(jobs, isHeld))
  })

  test('has exactly the fields of its table, in that order, and CSV has the same', () => {
    for (const [job, { names }] of [
      [aJob({ usual }), jobTable],
      [aSubjob(), subjobTable],
    ] as const) {
      const wire = jobToWire(job)
      assert.deepEqual(Object.keys(wire), names)
      assert.deepEqual(jobToValues(job), Object.values(wire))
    }
  })

  test('is written byte for byte as it always was', () => {
    const same =
      '"app_id":"A","app_name":"litho-apc","app_version":"3.8.1","site_id":"fab1","status":"succeeded","started_at":"2026-03-01T12:00:00.000000Z","ended_at":"2026-03-01T12:01:06.000000Z","duration_s":66,"cpu_user_s":12.5,"cpu_system_s":1.5,"mem_max_mb":655,"progress":null,"metrics":{"myRate":1},"metadata":{"waferId":"W","a_b":{"cD":1}},"error_count":0,"last_error":null,"last_event_at":"2026-03-01T12:00:00.000000Z","event_count":2,"inserted_at":"2026-03-01T12:00:00.000000Z","updated_at":"2026-03-01T12:00:00.000000Z","stuck":false,"lost":false,"late":false,"end_before_start":false'
    const later =
      '"attempt":1,"failed_attempts":0,"queued_at":null,"queue_s":null,"truncated":false,"last_queued_at":null'
    const common = {
      id: 'I',
      appId: 'A',
      metrics: { myRate: 1 },
      metadata: { waferId: 'W', a_b: { cD: 1 } },
    }
    assert.equal(
      JSON.stringify(jobToWire(aJob({ ...common, usual }))),
      `{"job_id":"I","job_key":"L26N4402.1",${same},"usual":{"runs":20,"p05_s":1,"p50_s":2.5,"p95_s":9},${later}}`,
    )
    assert.equal(
      JSON.stringify(jobToWire(aSubjob({ ...common, parentId: 'P', jobKey: 'L26N4402.1' }))),
      `{"subjob_id":"I","job_id":"P","sub_key":"W03",${same},"usual":null,"job_key":"L26N4402.1",${later}}`,
    )
  })

  test('of an older site lacks fields, which read as their absence means', () => {
    const { app_version, metrics, metadata, error_count, event_count, usual, ...rest } = jobToWire(
      aJob(),
    )
    const { stuck, lost, late, end_before_start, progress, last_error, job_key, ...old } = rest
    assert.ok([app_version, metrics, metadata, error_count, event_count, usual].length > 0)
    assert.ok([stuck, lost, late, end_before_start, progress, last_error, job_key].length > 0)
    const read = jobFromWire(old)
    assert.deepEqual(
      [read.appVersion, read.metrics, read.metadata, read.errorCount, read.eventCount, read.stuck],
      ['', {}, {}, 0, 0, false],
    )
    assert.deepEqual(
      [read.progress, read.lastError, read.jobKey, read.usual],
      [null, null, null, undefined],
    )
  })

  test('of a newer site has fields that are ignored', () => {
    const read = jobFromWire({ ...jobToWire(aJob()), carrier: 'FOUP 7' })
    assert.deepEqual(Object.keys(read).sort(), Object.keys(jobFromWire(jobToWire(aJob()))).sort())
  })

  test('is a job also where the fields of a subjob are null', () => {
    const read = jobFromWire({ ...jobToWire(aJob()), subjob_id: null, sub_key: null })
    assert.equal(read.entityType, 'job')
  })

  const wrong: [change: object, says: RegExp][] = [
    [{ started_at: 'yesterday' }, /not a job \(started_at: not a time\)/],
    [{ status: 'broken' }, /not a job \(status: /],
    [{ app_id: 7 }, /not a job \(app_id: /],
    [{ job_id: null }, /not a job \(job_id: /],
    [{ metrics: { rate: 'fast' } }, /not a job \(metrics: /],
    [{ metadata: [] }, /not a job \(metadata: /],
    [{ usual: { runs: 'many' } }, /not a job \(usual\.runs: /],
    [{ subjob_id: 7 }, /not a subjob \(subjob_id: /],
  ]
  for (const [change, says] of wrong) {
    test(`is refused with the name of the field: ${JSON.stringify(change)}`, () => {
      assert.throws(() => jobFromWire({ ...jobToWire(aJob()), ...change }), says)
    })
  }

  test('is refused when it is not an object', () => {
    for (const json of [null, undefined, 7, 'x', []])
      assert.throws(() => jobFromWire(json), /not a job/)
  })

  test('has the counts of its subjobs in its detail', () => {
    const detail = {
      job: aJob(),
      subjobs: {
        total: 3,
        queued: 0,
        running: 1,
        succeeded: 1,
        failed: 1,
        canceled: 0,
        unknown: 0,
      },
      attempts: [
        anAttempt({ attempt: 2 }),
        anAttempt({ attempt: 1, status: 'failed', exitCode: '137' }),
      ],
    }
    assert.deepEqual(detailFromWire(overTheWire(detailToWire(detail))), detail)
    assert.throws(() => detailFromWire(jobToWire(aJob())), /subjobs/)
    const { attempts, ...older } = overTheWire(detailToWire(detail)) as Record<string, unknown>
    assert.deepEqual(detailFromWire(older).attempts, [], 'an older site sends none')
  })
})

describe('the other answers on the wire', () => {
  const completeness = {
    asOf: noon,
    sources: 2,
    sourcesReporting: 1,
    sourcesSilent: 1,
    sourcesGone: 0,
    silentSources: ['bn-05'],
    waiting: 4,
    missing: 7,
    gaps: [{ source: 'bn-05', from: 3, to: 9 }],
    oldestSourceAgeS: 1.5,
    skewedSources: ['bn-12'],
    hotFrom: null,
    archive: 'unreachable' as const,
    archiveSearchedFrom: null,
    archiveMissing: [
      {
        from: '2025-03-01T00:00:00.000000Z',
        to: '2025-03-02T00:00:00.000000Z',
        why: 'it is gone',
      },
    ],
  }

  test('come back as they were sent', () => {
    const app = {
      appId: idOf('a'),
      name: 'x',
      version: '',
      siteId: 'f',
      firstSeenAt: noon,
      lastSeenAt: noon,
    }
    assert.deepEqual(appsQuestion.table.fromWire(overTheWire(appsQuestion.table.toWire(app))), app)
    for (const source of [...someSources(noon), { ...someSources(noon)[0]!, site: 'fab1' }]) {
      assert.deepEqual(
        sourcesQuestion.table.fromWire(overTheWire(sourcesQuestion.table.toWire(source))),
        source,
      )
    }
    const row = {
      bucket: noon,
      siteId: null,
      appName: 'x',
      status: 'failed' as const,
      count: 3,
      durationAvgS: 1,
      durationMinS: 1,
      durationMaxS: 1,
      durationP50S: 1,
      durationP95S: null,
      durationP99S: null,
      failedAttempts: 0,
      queueP50S: null,
      queueP95S: null,
      queueP99S: null,
    }
    assert.deepEqual(
      statsQuestion.table.fromWire(overTheWire(statsQuestion.table.toWire(row))),
      row,
    )
    assert.deepEqual(
      completenessTable.fromWire(overTheWire(completenessTable.toWire(completeness))),
      completeness,
    )
  })

  test('a page keeps its cursor, and names the sites that are missing', () => {
    const list = { time: 'ended', order: 'asc' } as const
    const page = { items: [aJob()], nextCursor: { at: noon, id: idOf('x') }, completeness }
    const toWire = (page: JobPage) => ({ items: [], ...pageHeadToWire(page, list) })
    const read = pageFromWire(page.items, overTheWire(toWire(page)))
    assert.deepEqual(read.nextCursor, { ...page.nextCursor, sites: undefined })
    assert.deepEqual(read.completeness, completeness)
    const details = [
      { id: 'fab1', status: 'failed' },
      { id: 'fab2', status: 'successful' },
    ]
    const merged = {
      ...toWire({ ...page, nextCursor: null }),
      sites: { total: 2, details },
    }
    assert.deepEqual(pageFromWire([], merged).sites, { total: 2, missing: ['fab1'] })
    for (const cursor of ['', 'x']) {
      assert.throws(
        () => pageFromWire([], { ...merged, next_cursor: cursor }),
        /next_cursor: unreadable/,
      )
    }
  })
})
