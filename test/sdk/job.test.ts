import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { stat } from 'node:fs'
import { describe, test } from 'node:test'
import { context, trace } from '@opentelemetry/api'
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks'
import { currentJob, type Job, monitored, startJob, wrap } from '../../src/sdk/index.ts'
import { eventsOf, kindsOf, listening } from '../support/jobs-said.ts'

const app = { name: 'litho-apc', version: '2.4.1' }

describe('a job that waits', () => {
  test('is queued with its reason, and started when it says so; the waiting is no part of its run', async () => {
    const emitter = listening()
    const job = startJob({ app, emitter, queued: 'no free chamber', metadata: { tool: 'ETC-1' } })
    await new Promise((resolve) => setTimeout(resolve, 300))
    job.start()
    job.queue('on hold')
    job.start()
    job.finish()
    assert.deepEqual(kindsOf(emitter.events), [
      ...['queued', 'started', 'queued', 'started', 'finished'],
    ])
    const [queued, started, held, again, finished] = emitter.events.map(({ event }) => event)
    assert.deepEqual({ ...queued!.metadata }, { reason: 'no free chamber', tool: 'ETC-1' })
    assert.deepEqual([queued!.status, queued!.started_at], ['queued', undefined])
    assert.equal(started!.started_at, started!.at)
    assert.deepEqual([held!.status, held!.started_at], ['queued', started!.at])
    assert.equal(again!.started_at, started!.at, 'it has one start')
    const ranS = (Date.parse(finished!.at) - Date.parse(started!.at)) / 1000
    assert.ok(finished!.metrics!.duration_s! <= ranS + 0.1, 'the duration is that of the run')
  })

  test('that is canceled before it starts tells no start and no duration', () => {
    const emitter = listening()
    startJob({ app, emitter, queued: true }).cancel('not wanted')
    const { event } = emitter.events[1]!
    assert.deepEqual([event.kind, event.status], ['canceled', 'canceled'])
    assert.deepEqual([event.started_at, { ...event.metrics }], [undefined, {}])
  })
})

describe('an attempt', () => {
  test('is on every event of the job, and not on those of its subjobs', () => {
    const emitter = listening()
    const job = startJob({ app, emitter, attempt: 2 })
    job.subjob('W01').finish()
    job.finish()
    assert.deepEqual(
      emitter.events.map(({ entity }) => [entity.type, entity.attempt]),
      [
        ['job', 2],
        ['subjob', undefined],
        ['subjob', undefined],
        ['job', 2],
      ],
    )
  })

  test('that is not a whole number from 1 is left out', () => {
    for (const attempt of [0, 1.5, -1, 1e9, '2', Number.NaN]) {
      const emitter = listening()
      startJob({ app, emitter, attempt: attempt as number })
      assert.equal(emitter.events[0]!.entity.attempt, undefined, String(attempt))
    }
  })
})

test('a job that ends without anybody knowing how is neither a success nor a failure', () => {
  const emitter = listening()
  const job = startJob({ app, emitter })
  job.endUnknown('the queue forgot it')
  job.finish()
  assert.equal(emitter.events.length, 2, 'it has ended')
  const { event } = emitter.events[1]!
  assert.deepEqual([event.kind, event.status], ['finished', 'unknown'])
  assert.deepEqual({ ...event.metadata }, { reason: 'the queue forgot it' })
})

test('progress is told as a count and its total too; a share that is given wins', () => {
  const emitter = listening()
  const job = startJob({ app, emitter })
  job.tick({ current: 13, total: 25, metadata: { tool: 'ETC-1' } })
  job.tick({ current: 1, total: 4, progress: 0.5 })
  job.tick({ current: 3, total: 0 })
  job.tick({ current: Number.NaN, total: 4 })
  const said = emitter.events
    .slice(1)
    .map(({ event }) => [event.metrics?.progress, event.metadata && { ...event.metadata }])
  assert.deepEqual(said, [
    [0.52, { current: 13, total: 25, tool: 'ETC-1' }],
    [0.5, { current: 1, total: 4 }],
    [undefined, { current: 3, total: 0 }],
    [undefined, undefined],
  ])
})

describe('monitored', () => {
  test('says that a job started and finished, and returns what the work returns', async () => {
    const emitter = listening()
    const value = await monitored(
      { app, siteId: 'fab1', businessKey: 'L1', emitter },
      async () => 7,
    )
    assert.equal(value, 7)
    const [started, finished] = emitter.events
    assert.deepEqual(kindsOf(emitter.events), ['started', 'finished'])
    assert.equal(started!.site_id, 'fab1')
    assert.equal(started!.entity.business_key, 'L1')
    assert.equal(started!.entity.type, 'job')
    assert.deepEqual(finished!.app, started!.app)
    assert.equal(finished!.event.status, 'succeeded')
    assert.equal(finished!.event.started_at, started!.event.at)
    assert.equal(finished!.event.ended_at, finished!.event.at)
    assert.deepEqual(Object.keys(finished!.event.metrics!).sort(), [
      'cpu_system_s',
      'cpu_user_s',
      'duration_s',
      'mem_max_mb',
    ])
    assert.ok(finished!.event.metrics!.mem_max_mb! > 1)
  })

  test('passes the error of the work through as it is, and the job has failed', async () => {
    const emitter = listening()
    const error = new RangeError('dose out of range')
    const run = monitored({ app, emitter }, () => Promise.reject(error))
    await assert.rejects(run, (thrown) => thrown === error)
    const { event } = emitter.events[1]!
    assert.equal(event.kind, 'error')
    assert.equal(event.status, 'failed')
    assert.deepEqual(
      { ...event.metadata },
      { error: 'dose out of range', error_type: 'RangeError' },
    )
  })

  test('takes work that throws immediately, and anything that can be thrown', async () => {
    const hostile = new Proxy({}, { get: () => assert.fail('not even this') })
    for (const thrown of [undefined, null, 'no', 42n, Symbol('x'), { message: 'm' }, hostile]) {
      const emitter = listening()
      const run = monitored({ app, emitter }, () => {
        throw thrown
      })
      // Not assert.rejects, which looks into what was thrown.
      const caught = await run.then(
        () => ['returned'],
        (error) => [error],
      )
      assert.ok(Object.is(caught[0], thrown))
      assert.deepEqual(kindsOf(emitter.events), ['started', 'error'])
      const { error, error_type } = emitter.events[1]!.event.metadata!
      assert.equal(typeof error, 'string')
      // A sentence has no error type; the name of a JavaScript type would say nothing.
      assert.equal(error_type, undefined)
    }
  })

  test('makes a job inside a job a subjob of it, also after an await', async () => {
    const emitter = listening()
    let outer: Job | undefined
    await monitored({ app, siteId: 'fab7', businessKey: 'L1', emitter }, async (job) => {
      outer = job
      await new Promise(setImmediate)
      assert.equal(currentJob(), job)
      await monitored({ subKey: 'W01' }, async () => {})
    })
    assert.equal(currentJob(), undefined)
    const inner = emitter.events.find(({ entity }) => entity.sub_key === 'W01')!
    assert.equal(inner.entity.type, 'subjob')
    assert.equal(inner.entity.parent_id, outer!.id)
    assert.equal(inner.entity.business_key, 'L1')
    assert.equal(inner.site_id, 'fab7')
    assert.equal(inner.app.name, 'litho-apc')
  })

  test('is the current one after timers and callbacks, and in no other job', async () => {
    const emitter = listening()
    const later: ((then: () => void) => unknown)[] = [
      (then) => setTimeout(then, 1),
      setImmediate,
      process.nextTick,
      queueMicrotask,
      (then) => stat('/', () => then()),
    ]
    const both = ['L1', 'L2'].map((businessKey) =>
      monitored({ app, businessKey, emitter }, async (job) => {
        for (const wait of later) {
          await new Promise<void>((done, failed) => {
            wait(() => (currentJob() === job ? done() : failed(new Error(String(wait)))))
          })
        }
      }),
    )
    await Promise.all(both)
    assert.equal(currentJob(), undefined)
  })

  test('has no parent when the parent is null', async () => {
    const emitter = listening()
    await monitored({ app, emitter }, () => monitored({ app, emitter, parent: null }, () => 1))
    assert.ok(emitter.events.every(({ entity }) => entity.type === 'job'))
  })

  test('stays canceled whatever the work does afterwards', async () => {
    const emitter = listening()
    const stop = new Error('stopped')
    const run = monitored({ app, emitter }, (job) => {
      job.cancel('lot on hold')
      job.tick({ progress: 1 })
      throw stop
    })
    await assert.rejects(run, stop)
    assert.deepEqual(kindsOf(emitter.events), ['started', 'canceled'])
    assert.equal(emitter.events[1]!.event.status, 'canceled')
    assert.equal(emitter.events[1]!.event.metadata!.reason, 'lot on hold')
  })

  test('never looks at the network: it ends in the same turn of the event loop', async () => {
    // Nothing listens on the address of the default emitter in this process.
    process.env.SIDECAR_URL = 'http://127.0.0.1:9'
    let turned = false
    setImmediate(() => {
      turned = true
    })
    await monitored({ app, siteId: 'fab1' }, async () => {})
    assert.equal(turned, false)
  })

  test('counts the CPU time of child processes that ended', async (t) => {
    if (process.platform !== 'linux') return t.skip('only Linux adds up what children used')
    const emitter = listening()
    await monitored({ app, emitter }, () => {
      const busy = 'while (process.cpuUsage().user < 300_000);'
      assert.equal(spawnSync(process.execPath, ['-e', busy]).status, 0)
    })
    assert.ok(emitter.events[1]!.event.metrics!.cpu_user_s! >= 0.25)
  })
})

describe('a job', () => {
  test('has its own keys, strictly rising times and one start on all its events', () => {
    const emitter = listening()
    const job = startJob({ app, emitter })
    for (let i = 0; i < 50; i++) job.tick({ progress: i / 50 })
    job.finish()
    const { events } = emitter
    assert.equal(new Set(events.map((event) => event.idempotency_key)).size, events.length)
    const times = events.map((event) => event.event.at)
    assert.deepEqual(times, [...new Set(times)].sort())
    for (const at of times) assert.match(at, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/)
    assert.deepEqual(new Set(events.map((event) => event.event.started_at)), new Set([times[0]]))
  })

  test('repeats the latest of its metrics at the end, and a given figure beats a measured one', () => {
    const emitter = listening()
    const job = startJob({ app, emitter })
    job.metric('cd_mean_nm', 31.2)
    job.metric('cd_mean_nm', 31.4)
    job.metric('cpu_user_s', 12.5)
    job.tick({ progress: 0.5, metadata: { step: 'expose' } })
    job.finish({ wafers: 25 })
    const { metrics, metadata } = emitter.events.at(-1)!.event
    assert.equal(metrics!.cd_mean_nm, 31.4)
    assert.equal(metrics!.cpu_user_s, 12.5)
    assert.equal(metrics!.progress, 0.5)
    assert.deepEqual({ ...metadata }, { wafers: 25 })
  })

  test('starts subjobs in both forms, and reports errors that do not end it', async () => {
    const emitter = listening()
    const job = startJob({ app, businessKey: 'L1', emitter })
    const wafer = job.subjob({ subKey: 'W01', metadata: { slot: 1 } })
    wafer.error(new Error('retrying'))
    wafer.finish()
    assert.equal(await job.subjob('W02', async (sub) => sub.id !== job.id), true)
    job.finish()
    assert.deepEqual(kindsOf(eventsOf(emitter.events, wafer.id)), ['started', 'error', 'finished'])
    assert.equal(eventsOf(emitter.events, wafer.id)[1]!.event.status, 'running')
    const subs = emitter.events.filter(({ entity }) => entity.type === 'subjob')
    assert.ok(subs.every(({ entity }) => entity.parent_id === job.id))
    assert.deepEqual(new Set(subs.map(({ entity }) => entity.sub_key)), new Set(['W01', 'W02']))
  })

  test('ends once', () => {
    const emitter = listening()
    const job = startJob({ app, emitter })
    job.finish()
    job.fail(new Error('late'))
    job.cancel()
    job.metric('x', 1)
    assert.equal(job.running, false)
    assert.deepEqual(kindsOf(emitter.events), ['started', 'finished'])
  })

  test('left by an exception before finish() has failed', async () => {
    const emitter = listening()
    const scope = async (finish: boolean) => {
      await using job = startJob({ app, emitter })
      if (!finish) throw new Error('no vacuum')
      job.finish()
    }
    await scope(true)
    await assert.rejects(scope(false), /no vacuum/)
    const statuses = emitter.events.map(({ event }) => event.status)
    assert.deepEqual(statuses, ['running', 'succeeded', 'running', 'failed'])
  })

  test('takes its id, parent and trace from the options', () => {
    const emitter = listening()
    const id = '0193581E-7c42-7d10-9a35-6f0c41c2b7e8'
    const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'
    const parent = startJob({ app, emitter, id, traceparent })
    startJob({ app, emitter, parent: id })
    startJob({ emitter, parent, id: 'not a uuid' })
    const [first, second, third] = emitter.events
    assert.equal(first!.entity.id, id.toLowerCase())
    assert.equal(second!.entity.parent_id, id.toLowerCase())
    assert.equal(second!.traceparent, undefined)
    assert.equal(third!.traceparent, traceparent)
    assert.equal(third!.app.name, app.name)
    assert.match(third!.entity.id, /^[\da-f]{8}-[\da-f]{4}-5/)
    assert.equal(emitter.repairs, 1)
  })

  test('belongs to the span that is active in the program', async (t) => {
    context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable())
    t.after(() => context.disable())
    const emitter = listening()
    const traceId = '0af7651916cd43dd8448eb211c80319c'
    const span = { traceId, spanId: 'b7ad6b7169203331', traceFlags: 1 }
    await context.with(trace.setSpanContext(context.active(), span), async () => {
      await new Promise(setImmediate)
      await monitored({ app, emitter }, () => {})
    })
    startJob({ app, emitter })
    const given = emitter.events.map((event) => event.traceparent)
    const wanted = `00-${traceId}-${span.spanId}-01`
    assert.deepEqual(given, [wanted, wanted, undefined])
  })

  test('has the same app id in every run, from the name, unless one is given', () => {
    const emitter = listening()
    startJob({ app: 'litho-apc', emitter })
    startJob({ app: { name: 'litho-apc', version: '9' }, emitter })
    startJob({ app: { name: 'x', id: '00000000-0000-0000-0000-000000000001' }, emitter })
    const ids = emitter.events.map((event) => event.app.app_id)
    assert.deepEqual(ids, [
      '37bcd94f-9e2a-5860-bbcf-7de4bb9a25e0',
      '37bcd94f-9e2a-5860-bbcf-7de4bb9a25e0',
      '00000000-0000-0000-0000-000000000001',
    ])
  })
})

describe('wrap', () => {
  test('keeps name, this, arguments, value and error of a plain function', () => {
    const emitter = listening()
    const sum = wrap({ app, emitter }, function sum(this: { base: number }, a: number, b: number) {
      if (a < 0) throw new TypeError('negative')
      return this.base + a + b
    })
    assert.equal(sum.name, 'sum')
    assert.equal(sum.length, 2)
    assert.equal(sum.call({ base: 1 }, 2, 3), 6)
    assert.throws(() => sum.call({ base: 1 }, -1, 0), TypeError)
    assert.deepEqual(kindsOf(emitter.events), ['started', 'finished', 'started', 'error'])
  })

  test('follows a promise to its end, with options computed from the arguments', async () => {
    const emitter = listening()
    const load = wrap(
      (lot: string) => ({ app, businessKey: lot, emitter }),
      async (lot: string) => {
        await new Promise(setImmediate)
        if (lot === 'bad') throw new Error('no such lot')
        return lot.length
      },
    )
    const promise = load('L1')
    assert.deepEqual(kindsOf(emitter.events), ['started'])
    assert.equal(await promise, 2)
    await assert.rejects(load('bad'), /no such lot/)
    assert.deepEqual(kindsOf(emitter.events), ['started', 'finished', 'started', 'error'])
    assert.equal(emitter.events[0]!.entity.business_key, 'L1')
  })
})
