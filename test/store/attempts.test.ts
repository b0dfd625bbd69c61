import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import type { Event } from '../../src/core/event.ts'
import type { Job, JobFilter } from '../../src/core/job.ts'
import { runningQuestion } from '../../src/core/questions/running.ts'
import { fromMs, toMs } from '../../src/core/time.ts'
import { findEvents } from '../../src/store/events.ts'
import { ingest } from '../../src/store/ingest.ts'
import { storeReader } from '../../src/store/store-reader.ts'
import { type Edition, needsTimescale } from '../support/database.ts'
import { anEvent, openStore } from '../support/store.ts'

const { signal } = new AbortController()
const noon = fromMs(Date.now() - 3_600_000)
const at = (s: number) => fromMs(toMs(noon) + s * 1000)
const list: JobFilter = { time: 'active', order: 'desc', limit: 100 }

const open = async (t: TestContext, edition: Edition) => {
  const { store } = await openStore(t, edition)
  return { store, reader: storeReader(store, { maxAgeMs: { completeness: 0, baselines: 0 } }) }
}

/** Events of one job, by its attempts. */
function aJob() {
  const id = crypto.randomUUID()
  const say = (s: number, event: Partial<Event['event']>, attempt?: number): Event =>
    anEvent(at(s), event, { entity: { id, ...(attempt === undefined ? {} : { attempt }) } })
  return { id, say }
}

const keysOf = (events: readonly Event[]) => events.map(({ idempotency_key: key }) => key)

function suite(edition: Edition) {
  test('a job that succeeds at its third try is one success with two failed tries', async (t) => {
    const { store, reader } = await open(t, edition)
    const { id, say } = aJob()
    const once = aJob()
    const metadata = { error: 'T3 timeout', exit_code: 137 }
    const end = { kind: 'finished' } as const
    const failed = { ...end, status: 'failed', metadata } as const
    await ingest(store, [say(0, {}), say(5, failed), once.say(0, {}), once.say(9, end)])
    assert.equal((await reader.getJob(id, signal))?.job.status, 'failed')
    await ingest(store, [
      say(10, {}, 2),
      say(12, { kind: 'progress', metrics: { progress: 0.5 } }, 2),
    ])
    const again = await reader.getJob(id, signal)
    assert.deepEqual(
      [again?.job.status, again?.job.endedAt, again?.job.lastError, again?.job.attempt],
      ['running', null, null, 2],
      'a later attempt reopens what an earlier one ended',
    )
    await ingest(store, [say(15, failed, 2), say(20, {}, 3), say(26, end, 3)])
    const found = await reader.getJob(id, signal)
    const shown = (({ status, durationS, progress, attempt, failedAttempts }: Job) => [
      ...[status, durationS, progress, attempt, failedAttempts],
    ])(found!.job)
    assert.deepEqual(shown, ['succeeded', 6, null, 3, 2])
    assert.deepEqual(
      found?.attempts.map((one) => [one.attempt, one.status, one.startedAt, one.durationS]),
      [
        [3, 'succeeded', at(20), 6],
        [2, 'failed', at(10), 5],
        [1, 'failed', at(0), 5],
      ],
    )
    assert.deepEqual(
      found?.attempts.map(({ exitCode, lastError }) => [exitCode, lastError]),
      [
        [null, null],
        ['137', 'T3 timeout'],
        ['137', 'T3 timeout'],
      ],
    )
    const { items } = await reader.findJobs({ ...list, minAttempts: 2 }, signal)
    assert.deepEqual(items, [found?.job])
    const single = await reader.getJob(once.id, signal)
    assert.deepEqual(
      single?.attempts.map(({ attempt, status }) => [attempt, status]),
      [[1, 'succeeded']],
    )
  })

  test('what comes late of an earlier attempt changes its own entry alone', async (t) => {
    const { store, reader } = await open(t, edition)
    const { id, say } = aJob()
    await ingest(store, [say(10, { metadata: { tool: 'SCN-05' } }, 2)])
    const before = (await reader.getJob(id, signal))!
    const late = {
      kind: 'error',
      status: 'failed',
      metadata: { tool: 'X', error: 'late' },
    } as const
    const metrics = { cpu_user_s: 99, progress: 1, cd: 1 }
    // After the later attempt, by its clock.
    await ingest(store, [say(900, { ...late, metrics }, 1)])
    const after = (await reader.getJob(id, signal))!
    const { updatedAt, eventCount, failedAttempts, ...row } = after.job
    const { updatedAt: _, eventCount: __, failedAttempts: ___, ...was } = before.job
    assert.deepEqual(row, was)
    assert.deepEqual([eventCount, failedAttempts], [2, 1])
    assert.deepEqual(after.attempts[0], before.attempts[0])
    const [, first] = after.attempts
    assert.deepEqual([first?.status, first?.endedAt, first?.lastError], ['failed', at(900), 'late'])
    const { items } = await findEvents(store, id, { order: 'desc', limit: 10 }, signal)
    assert.equal(items.length, 2, 'its events are listed beside those of the later attempt')
  })

  test('an attempt that a later one overtook ended, and how is not known', async (t) => {
    const { store, reader } = await open(t, edition)
    const { id, say } = aJob()
    await ingest(store, [say(0, {}), say(30, {}, 2)])
    const found = await reader.getJob(id, signal)
    assert.deepEqual(
      found?.attempts.map(({ attempt, status, endedAt }) => [attempt, status, endedAt]),
      [
        [2, 'running', null],
        [1, 'unknown', null],
      ],
    )
  })

  test('keeps the newest 16 of many attempts, and how many there were', async (t) => {
    const { store, reader } = await open(t, edition)
    const { id, say } = aJob()
    const tries = Array.from({ length: 40 }, (_, i) => i + 1)
    const ends = tries.map((n) => say(n, { kind: 'finished', status: 'failed' }, n))
    for (const event of ends.toReversed()) await ingest(store, [event])
    const found = await reader.getJob(id, signal)
    assert.deepEqual(
      found?.attempts.map(({ attempt }) => attempt),
      tries.slice(24).toReversed(),
    )
    assert.deepEqual([found?.job.attempt, found?.job.failedAttempts], [40, 16])
  })

  test('each attempt ends once, for those who count ends', async (t) => {
    const { store } = await open(t, edition)
    const { say } = aJob()
    const end = { kind: 'finished' } as const
    const first = say(5, { kind: 'error', status: 'failed' })
    const second = say(15, end, 2)
    assert.deepEqual(keysOf((await ingest(store, [say(0, {}), first])).ended), keysOf([first]))
    assert.deepEqual((await ingest(store, [say(6, end)])).ended, [])
    assert.deepEqual(
      keysOf((await ingest(store, [say(10, {}, 2), second])).ended),
      keysOf([second]),
    )
    assert.deepEqual((await ingest(store, [say(7, end), say(16, end, 2)])).ended, [])
  })

  test('a job waits until it starts, and again while it is held', async (t) => {
    const { store, reader } = await open(t, edition)
    const { id, say } = aJob()
    const look = async () => {
      const { job } = (await reader.getJob(id, signal))!
      const { status, startedAt, queuedAt, queueS, metadata } = job
      return [status, startedAt, queuedAt, queueS, metadata.reason, metadata.queue]
    }
    const why = (reason: string) => ({ reason, queue: 'night' })
    await ingest(store, [say(0, { kind: 'queued', metadata: why('Priority') })])
    assert.deepEqual(await look(), ['queued', at(0), at(0), null, 'Priority', 'night'])
    const { items } = await reader.findJobs({ ...list, status: ['queued'] }, signal)
    assert.deepEqual(
      items.map((job) => job.id),
      [id],
    )
    assert.equal(
      (await reader.findJobs({ ...list, facts: { queue: 'night' } }, signal)).items.length,
      1,
    )
    await ingest(store, [say(60, { metadata: { tool: 'SCN-05' } })])
    assert.deepEqual(await look(), ['running', at(60), at(0), 60, 'Priority', 'night'])
    await ingest(store, [say(90, { kind: 'queued', metadata: why('held by an engineer') })])
    assert.deepEqual(await look(), ['queued', at(60), at(0), 60, 'held by an engineer', 'night'])
    assert.equal((await reader.getJob(id, signal))?.job.lastQueuedAt, at(90))
    await ingest(store, [say(120, {})])
    assert.deepEqual((await look()).slice(0, 4), ['running', at(60), at(0), 60])
  })

  test('a job that waits past its due time is late, listed and counted', async (t) => {
    const { store, reader } = await open(t, edition)
    const [late, early, started] = [aJob(), aJob(), aJob()]
    const due = (s: number) => ({ kind: 'queued', metadata: { due_at: at(s) } }) as const
    // The end of today is still to come.
    const wait = [late.say(0, due(60)), early.say(0, due(86_400)), started.say(0, due(60))]
    await ingest(store, [...wait, started.say(120, {})])
    const lateOf = async ({ id }: { id: string }) => {
      const job = (await reader.getJob(id, signal))?.job
      return [job?.status, job?.late]
    }
    assert.deepEqual(await lateOf(late), ['queued', true])
    assert.deepEqual(await lateOf(early), ['queued', false])
    assert.deepEqual(await lateOf(started), ['running', true])
    const find = async (filter: Partial<JobFilter>) => {
      const { items, total } = await reader.findJobs({ ...list, ...filter }, signal)
      assert.equal(total?.count, items.length)
      return items.map(({ id }) => id)
    }
    assert.deepEqual(await find({ flags: ['late'] }), [started.id, late.id])
    assert.deepEqual(await find({ flags: ['late', 'lost'], limit: 1 }).catch(() => 2), 2)
    assert.deepEqual(await find({ flags: ['late'], status: ['queued', 'failed'] }), [late.id])
    // What began before the window waits still.
    assert.deepEqual(await find({ flags: ['late'], from: at(1) }), [started.id, late.id])
    assert.deepEqual(await find({ flags: ['lost', 'stuck'] }), [])
    const [counts] = await reader.ask(runningQuestion, {}, signal)
    assert.deepEqual(
      [counts?.running, counts?.late, counts?.lateQueued, counts?.flagged, counts?.complete],
      [1, 2, 1, 2, true],
    )
    assert.deepEqual(await reader.ask(runningQuestion, { site: 'fab9' }, signal), [])
  })

  test('a job that was canceled while it waited did not run', async (t) => {
    const { store, reader } = await open(t, edition)
    const { id, say } = aJob()
    await ingest(store, [say(0, { kind: 'queued' }), say(500, { kind: 'canceled' })])
    const found = await reader.getJob(id, signal)
    assert.deepEqual(
      [found?.job.status, found?.job.durationS, found?.job.queueS, found?.attempts[0]?.durationS],
      ['canceled', null, null, null],
    )
  })

  test('a job whose outcome is not known has ended, as neither a success nor a failure', async (t) => {
    const { store, reader } = await open(t, edition)
    const { id, say } = aJob()
    await ingest(store, [say(0, {}), say(40, { kind: 'finished', status: 'unknown' })])
    const { job, subjobs } = (await reader.getJob(id, signal))!
    assert.deepEqual(
      [job.status, job.endedAt, job.durationS, job.errorCount, job.lastError, job.lost],
      ['unknown', at(40), 40, 0, null, false],
    )
    assert.equal(subjobs.unknown, 0)
    const ended = { ...list, time: 'ended', status: ['unknown'] } as const
    assert.equal((await reader.findJobs(ended, signal)).items.length, 1)
  })

  test('is found by its exit code and its priority, as by its tool', async (t) => {
    const { store, reader } = await open(t, edition)
    const [a, b] = [aJob(), aJob()]
    const end = (exit_code: unknown) =>
      ({ kind: 'finished', status: 'failed', metadata: { exit_code } }) as const
    const events = [
      a.say(0, { metadata: { priority: 10 } }),
      a.say(9, end(137)),
      b.say(0, end('1:0')),
    ]
    await ingest(store, events)
    const found = async (facts: JobFilter['facts'], q?: string) =>
      (await reader.findJobs({ ...list, facts, q }, signal)).items.map(({ id }) => id)
    assert.deepEqual(await found({ exit_code: '137' }), [a.id])
    assert.deepEqual(await found({ exit_code: '1:0' }), [b.id])
    assert.deepEqual(await found({ priority: '10', exit_code: '137' }), [a.id])
    const texts = (await reader.findJobs(list, signal)).items.map(({ lastError }) => lastError)
    assert.deepEqual(texts.sort(), ['exit code 137', 'exit code 1:0'].sort())
  })
}

describe('attempts and waiting on plain PostgreSQL', () => suite('plain'))
describe('attempts and waiting on TimescaleDB', needsTimescale, () => suite('timescale'))
