import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { fromMs } from '../../src/core/time.ts'
import { historyOf, sendHistory } from '../../src/tools/simulate/history.ts'
import { planJobs } from '../../src/tools/simulate/plan.ts'
import { fakeSidecar } from '../support/fake-sidecar.ts'

const hourMs = 3_600_000
const toMs = Date.UTC(2026, 2, 1, 12)
const fromMs_ = toMs - 2 * hourMs
const detailsFromMs = toMs - hourMs / 4
const past = (seed: number) => ({
  ...{ siteId: 'fab1', seed, jobsPerMinute: 20, firstLot: 2700 },
  ...{ fromMs: fromMs_, toMs, detailsFromMs },
})

describe('the past of the simulated fab', () => {
  test('is history, lies in its time, and leaves nothing running', () => {
    fc.assert(
      fc.property(fc.nat(), (seed) => {
        const events = [...historyOf(past(seed))]
        const running = new Set<string>()
        for (const { historical, entity, event } of events) {
          assert.equal(historical, true)
          const { at, started_at: startedAt = '' } = event
          assert.ok(
            startedAt >= fromMs(fromMs_).slice(0, 23) && startedAt <= at && at < fromMs(toMs),
          )
          if (event.kind === 'started') running.add(entity.id)
          else running.delete(entity.id)
        }
        assert.equal(running.size, 0)
        const keys = new Set(events.map(({ idempotency_key: key }) => key))
        assert.equal(keys.size, events.length)
        const jobs = new Set(
          events.flatMap(({ entity }) => (entity.type === 'job' ? [entity.id] : [])),
        )
        assert.ok(jobs.size > 2000 && jobs.size < 2600, `${jobs.size} jobs in two hours`)
      }),
      { numRuns: 5 },
    )
  })

  test('has wafers where details are asked for, and each belongs to a job', () => {
    const events = [...historyOf(past(1))]
    const ids = new Set(events.map(({ entity }) => entity.id))
    const parts = events.filter(({ entity }) => entity.type === 'subjob')
    assert.ok(parts.length > 100)
    for (const { entity, event } of parts) {
      assert.ok(entity.parent_id && ids.has(entity.parent_id))
      assert.ok((event.started_at ?? '') >= new Date(detailsFromMs).toISOString())
    }
  })

  test('is of other lots than the present', () => {
    const lots = new Set<string | null>()
    for (const { entity } of historyOf(past(1))) lots.add(entity.business_key)
    let n = 0
    for (const { lot } of planJobs({ seed: 1, startMs: toMs, jobsPerMinute: 20 })) {
      assert.ok(!lots.has(lot), lot)
      if (++n === 1000) break
    }
  })

  test('is of the same programs as the present', async (t) => {
    const sidecar = await fakeSidecar(t)
    const [event] = historyOf(past(1))
    assert.ok(event)
    const { SidecarEmitter, startJob } = await import('../../src/sdk/index.ts')
    const emitter = new SidecarEmitter({ baseUrl: sidecar.url })
    const { name, version } = event.app
    startJob({ app: { name, version }, siteId: 'fab1', emitter }).finish()
    await emitter.close()
    assert.deepEqual(sidecar.events[0]?.app, event.app)
  })

  test('is sent whole, through the sidecar', async (t) => {
    const sidecar = await fakeSidecar(t)
    const target = { url: sidecar.url, token: undefined }
    const sent = await sendHistory({ ...past(1), sidecar: target }, new AbortController().signal)
    assert.equal(sent, [...historyOf(past(1))].length)
    assert.equal(sidecar.events.length, sent)
  })

  test('ends when it is told to, though no sidecar answers', async () => {
    const stop = new AbortController()
    const target = { url: 'http://127.0.0.1:9', token: undefined }
    const sending = sendHistory({ ...past(1), sidecar: target }, stop.signal)
    stop.abort()
    assert.equal(await sending, 0)
  })
})
