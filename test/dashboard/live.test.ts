import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import { setTimeout as wait } from 'node:timers/promises'
import type { JobPage } from '../../src/core/job.ts'
import { type Change, Live } from '../../src/dashboard/live/live.ts'
import type { LiveMessage } from '../../src/dashboard/model/backend.ts'
import { firstTime } from '../../src/dashboard/model/query.ts'
import { aJob, idOf } from '../support/sample-jobs.ts'

const eventOf = (id: string): LiveMessage => ({
  id: `pos-${id}`,
  event: 'progress',
  data: JSON.stringify({ entity: { type: 'job', id, parent_id: null } }),
})

const noJobs: JobPage = {
  items: [],
  nextCursor: null,
  completeness: {
    asOf: '2026-03-01T12:00:00.000000Z',
    sources: 0,
    sourcesReporting: 0,
    sourcesSilent: 0,
    sourcesGone: 0,
    silentSources: [],
    waiting: 0,
    missing: 0,
    gaps: [],
    oldestSourceAgeS: null,
    skewedSources: [],
    hotFrom: null,
    archive: 'off',
    archiveSearchedFrom: null,
    archiveMissing: [],
  },
}

/** Follows streams that the test writes: each call of `follow` plays the next one. */
function follows(
  t: TestContext,
  streams: (LiveMessage[] | Error)[],
  known = (_id: string) => true,
) {
  const stop = new AbortController()
  t.after(() => stop.abort())
  const resumed: (string | undefined)[] = []
  const lookedUp: string[] = []
  const probes: {
    fault?: Error | undefined
    hangs?: boolean
    newest?: string
    from?: string | undefined
  } = {}
  const errors: unknown[] = []
  const live = new Live({
    backend: {
      follow: async function* (lastEventId, signal) {
        resumed.push(lastEventId)
        const stream = streams.shift()
        if (stream instanceof Error) throw stream
        yield* stream ?? []
        while (stream === undefined && !signal.aborted) await wait(5)
      },
      findJobs: async ({ from }) => {
        probes.from = from
        if (probes.hangs) await new Promise(() => {})
        if (probes.fault) throw probes.fault
        return { ...noJobs, items: probes.newest ? [aJob({ lastEventAt: probes.newest })] : [] }
      },
      health: async () => ({ status: 'ok', version: '' }),
      getJobs: async (ids) => {
        lookedUp.push(...ids)
        if (!ids.every(known)) throw new Error('away')
        return ids.map((id) => aJob({ id }))
      },
    },
    signal: stop.signal,
    onError: (error) => errors.push(error),
    gatherMs: 5,
    probeMs: 5,
    patienceMs: 50,
  })
  const changes: Change[] = []
  return { live, resumed, lookedUp, errors, changes, probes, run: () => void live.run() }
}

async function until(condition: () => boolean): Promise<void> {
  const deadline = Date.now() + 5000
  while (!condition()) {
    assert.ok(Date.now() < deadline, 'it did not come to that')
    await wait(5)
  }
}

describe('Live', () => {
  test('gathers many events of a job into one lookup', async (t) => {
    const { live, lookedUp, changes, run } = follows(t, [
      Array.from({ length: 500 }, (_, i) => eventOf(idOf(`job ${i % 3}`))),
    ])
    live.subscribe((change) => changes.push(change))
    run()
    await until(() => changes.length > 0)
    assert.equal(lookedUp.length, 3)
    assert.equal(changes[0]?.jobs.length, 3)
  })

  test('looks nothing up without a listener', async (t) => {
    const { live, lookedUp, run, resumed } = follows(t, [[eventOf(idOf('a'))]])
    run()
    await until(() => resumed.length > 1)
    assert.deepEqual(lookedUp, [])
    assert.equal(live.fresh.state === 'loaded', false)
  })

  test('resumes after the last event that it saw', async (t) => {
    const { live, resumed, errors, run } = follows(t, [
      [eventOf('a'), eventOf('b')],
      new Error('broken'),
      [{ id: '', event: 'comment', data: '' }],
    ])
    assert.deepEqual(live.fresh, { state: 'loaded' })
    run()
    await until(() => resumed.length >= 4)
    assert.deepEqual(resumed.slice(0, 4), [undefined, 'pos-b', 'pos-b', 'pos-b'])
    assert.ok(errors.length <= 2)
  })

  test('is stale, with no age, when it never reached the API', async (t) => {
    const { live, run } = follows(t, [new Error('broken')])
    run()
    await until(() => live.fresh.state === 'stale')
    assert.deepEqual(live.fresh, { state: 'stale', ageS: null, reason: 'Broken.' })
  })

  test('is stale while the API runs but cannot answer, and has pages reload when it can', async (t) => {
    const { live, changes, probes, run } = follows(t, [])
    live.subscribe((change) => changes.push(change))
    probes.fault = new Error('the database is away')
    run()
    await until(() => live.fresh.state === 'stale')
    assert.match(JSON.stringify(live.fresh), /The database is away\./)
    probes.fault = undefined
    await until(() => live.fresh.state !== 'stale')
    await until(() => changes.some(({ reset }) => reset))
  })

  test('is stale while a question is not answered, although the stream is open', async (t) => {
    const { live, probes, run } = follows(t, [])
    live.subscribe(() => {})
    probes.hangs = true
    run()
    await until(() => live.fresh.state === 'stale')
    assert.match(JSON.stringify(live.fresh), /It does not answer a question\./)
  })

  test('knows the newest event of a plant that has been silent since before it looked', async (t) => {
    const { live, probes, run } = follows(t, [])
    assert.equal(live.plant.lastEventAt, undefined)
    probes.newest = '2026-03-01T11:00:00.000000Z'
    run()
    await until(() => live.plant.lastEventAt === probes.newest)
  })

  test('calls an event no newer than its arrival, whatever clock its sender has', async (t) => {
    const { live, probes, run } = follows(t, [])
    probes.newest = '2126-03-01T11:00:00.000000Z'
    run()
    await until(() => live.plant.lastEventAt != null)
    // When the store changed it, by its own clock.
    assert.equal(live.plant.lastEventAt, aJob({}).updatedAt)
  })

  test('takes a backlog that arrives now for what it is, not for a plant that runs', async (t) => {
    const told = (at: string, received_at: string) => ({
      ...eventOf(idOf('a')),
      data: JSON.stringify({
        ...{ entity: { type: 'job', id: idOf('a'), parent_id: null }, event: { at }, received_at },
      }),
    })
    const [old, received, ahead] = ['09:00', '09:30', '09:50'].map(
      (time) => `2026-03-01T${time}:00.000000Z`,
    ) as [string, string, string]
    const { live, changes, run } = follows(t, [[told(old, '2026-03-01T11:59:00.000000Z')]])
    live.subscribe((change) => changes.push(change))
    run()
    await until(() => changes.length > 0)
    assert.equal(live.plant.lastEventAt, old)
    const other = follows(t, [[told(ahead, received)]])
    other.run()
    await until(() => other.live.plant.lastEventAt != null)
    assert.equal(other.live.plant.lastEventAt, received)
  })

  test('knows the newest event of a plant that has been silent for more than a week', async (t) => {
    const { live, probes, run } = follows(t, [])
    probes.newest = '2026-02-01T11:00:00.000000Z'
    run()
    await until(() => live.plant.lastEventAt === probes.newest)
    assert.equal(probes.from, firstTime)
  })

  test('has pages reload when the stream is back, because missed events may not come again', async (t) => {
    const quiet: LiveMessage = { id: '', event: 'comment', data: 'alive' }
    const { live, changes, resumed, run } = follows(t, [[quiet], new Error('broken'), [quiet]])
    live.subscribe((change) => changes.push(change))
    run()
    await until(() => resumed.length >= 3)
    await until(() => changes.some(({ reset }) => reset))
  })

  test('names the sites that a merged stream is missing', async (t) => {
    const missing = [{ id: 'fab2', since: '2026-03-01T12:00:00.000000Z', error: 'away' }]
    const sites = (of: unknown): LiveMessage => ({
      id: '',
      event: 'sites',
      data: JSON.stringify(of),
    })
    const said: unknown[] = []
    const stop = new AbortController()
    t.after(() => stop.abort())
    const live = new Live({
      backend: {
        follow: async function* (_last, signal) {
          for (; !signal.aborted; await wait(5)) yield* said.splice(0).map(sites)
        },
        getJobs: async () => [],
        findJobs: async () => noJobs,
        health: async () => ({ status: 'ok', version: '' }),
      },
      signal: stop.signal,
      onError: assert.ifError,
    })
    void live.run()
    said.push({ total: 2, missing })
    await until(() => live.fresh.state === 'partial')
    assert.match(JSON.stringify(live.fresh), /"total":2,"missing":\[\{"id":"fab2"/)
    said.push({ total: 2, missing: [] })
    await until(() => live.fresh.state === 'live')
    said.push({ total: 2, missing }, { total: 'two' })
    await until(() => live.fresh.state === 'live')
  })

  test('has pages reload when the history is gone, or after too many changes', async (t) => {
    const { live, changes, run } = follows(t, [[{ id: '', event: 'reset', data: '' }]])
    live.subscribe((change) => changes.push(change))
    run()
    await until(() => changes.some(({ reset }) => reset))

    const flood = follows(t, [Array.from({ length: 5000 }, (_, i) => eventOf(idOf(`f${i}`)))])
    flood.live.subscribe((change) => flood.changes.push(change))
    flood.run()
    await until(() => flood.changes.some(({ reset }) => reset))
    assert.ok(flood.lookedUp.length < 2100)
  })

  test('has pages reload when a job could not be looked up', async (t) => {
    const { live, changes, run } = follows(t, [[eventOf('a')]], () => false)
    live.subscribe((change) => changes.push(change))
    run()
    await until(() => changes.some(({ reset }) => reset))
  })

  test('calls the other listeners when one fails', async (t) => {
    const { live, changes, errors, run } = follows(t, [[eventOf('a')]])
    live.subscribe(() => {
      throw new Error('drawing failed')
    })
    live.subscribe((change) => changes.push(change))
    run()
    await until(() => changes.length > 0)
    assert.ok(errors.some((error) => (error as Error).message === 'drawing failed'))
  })

  test('ignores messages that are not events', async (t) => {
    const odd = ['', 'null', '[]', '{"entity":7}', '{"entity":{"id":7}}', '{'].map((data) => ({
      id: '1',
      event: 'started',
      data,
    }))
    const { live, changes, run } = follows(t, [[...odd, eventOf('a')]])
    live.subscribe((change) => changes.push(change))
    run()
    await until(() => changes.length > 0)
    assert.deepEqual([...changes[0]!.touched], ['a'])
  })
})
