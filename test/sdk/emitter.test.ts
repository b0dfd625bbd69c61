import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { describe, type TestContext, test } from 'node:test'
import { setTimeout as wait } from 'node:timers/promises'
import { type EmitterOptions, monitored, SidecarEmitter, startJob } from '../../src/sdk/index.ts'
import { type FakeSidecar, fakeSidecar } from '../support/fake-sidecar.ts'
import { eventsOf, kindsOf } from '../support/jobs-said.ts'

const app = 'etch-fdc'

/** An emitter to a fake sidecar, with what it warned of. */
async function connected(t: TestContext, options: EmitterOptions = {}) {
  const sidecar = await fakeSidecar(t)
  const warnings: string[] = []
  const warn = (message: string) => void warnings.push(message)
  const emitter = new SidecarEmitter({ baseUrl: sidecar.url, warn, ...options })
  t.after(() => emitter.close(0))
  return { sidecar, emitter, warnings }
}

async function until(what: string, reached: () => boolean) {
  const deadline = Date.now() + 10_000
  while (!reached()) {
    assert.ok(Date.now() < deadline, `waited 10 s for ${what}`)
    await wait(5)
  }
}

/** Every event once, and those of each job in the order they were said. */
function assertInOrder({ events }: FakeSidecar) {
  for (const id of new Set(events.map(({ entity }) => entity.id))) {
    const times = eventsOf(events, id).map(({ event }) => event.at)
    assert.deepEqual(times, times.toSorted())
  }
}

describe('SidecarEmitter', () => {
  test('delivers by itself, many events in few requests', async (t) => {
    const { sidecar, emitter } = await connected(t)
    for (let i = 0; i < 50; i++) await monitored({ app, emitter }, () => i)
    await until('100 events', () => sidecar.events.length === 100)
    assert.ok(sidecar.batches.length <= 3)
    await until('the count', () => emitter.stats.delivered === 100)
    assert.equal(emitter.stats.queued, 0)
    assert.equal(emitter.stats.queuedBytes, 0)
  })

  test('flush tells whether all was delivered, and keeps what was not', async (t) => {
    const { sidecar, emitter, warnings } = await connected(t)
    await sidecar.stop()
    await monitored({ app, emitter }, () => 1)
    assert.equal(await emitter.flush(50), false)
    assert.equal(emitter.stats.queued, 2)
    await sidecar.start()
    assert.equal(await emitter.flush(10_000), true)
    assert.equal(sidecar.events.length, 2)
    assert.equal(warnings.length, 1)
    assert.match(warnings[0]!, /events wait for .*ECONNREFUSED/)
  })

  for (const deadlineMs of [Infinity, Number.MAX_VALUE, 2 ** 31]) {
    test(`flush waits as long as it is told, also for ${deadlineMs} ms`, async (t) => {
      const { sidecar, emitter } = await connected(t)
      await sidecar.stop()
      await monitored({ app, emitter }, () => 1)
      const flushed = emitter.flush(deadlineMs)
      assert.equal(await Promise.race([flushed, wait(300, 'waits')]), 'waits')
      await sidecar.start()
      assert.equal(await flushed, true)
    })
  }

  const troubles = {
    'an overloaded sidecar': { status: 503, headers: { 'retry-after': '0' } },
    'a sidecar that had too much': { status: 429 },
    'a request that took too long': { status: 408 },
    'an error of the sidecar': { status: 500 },
    'a wrong address': { status: 404 },
    'a hung up connection': 'hang up',
    'half an answer': 'half an answer',
    'an answer that is not JSON': { body: '<html>welcome</html>' },
    'an answer that is null': { body: 'null' },
    'an answer that counts wrong': { body: '{"ok":true,"total":1,"rejected":[]}' },
    'an answer about other events': { body: '{"total":3,"rejected":[{"index":7},{"index":-1}]}' },
    'an answer about half an event': {
      body: '{"total":3,"rejected":[{"index":0.5,"retryable":true}]}',
    },
    'an answer about one event twice': {
      body: '{"total":3,"rejected":[{"index":1,"retryable":true},{"index":1,"retryable":true}]}',
    },
    'an answer with a list of nothing': { body: '{"total":3,"rejected":[null]}' },
    'an answer whose list is none': { body: '{"total":3,"rejected":{"index":1}}' },
  } as const
  for (const [name, trouble] of Object.entries(troubles)) {
    test(`sends again after ${name}`, async (t) => {
      const { sidecar, emitter } = await connected(t)
      sidecar.trouble = (batch) => (batch <= 2 ? trouble : undefined)
      const job = startJob({ app, emitter })
      job.tick({ progress: 0.5 })
      job.finish()
      assert.equal(await emitter.flush(10_000), true)
      assert.deepEqual(kindsOf(sidecar.events), ['started', 'progress', 'finished'])
      assert.equal(emitter.stats.delivered, 3)
      assert.equal(emitter.stats.retries, 2)
      assert.equal(emitter.stats.droppedEvents + emitter.stats.droppedTicks, 0)
    })
  }

  test('an answer of the wrong types neither throws nor counts as something else', async (t) => {
    const { sidecar, emitter, warnings } = await connected(t)
    const odd = { toString: 1 }
    const verdicts = [{ index: 1, field: odd, detail: odd, retryable: 'no' }]
    const body = JSON.stringify({ total: 3, duplicates: odd, rejected: verdicts })
    sidecar.trouble = () => ({ body })
    const job = startJob({ app, emitter })
    job.tick({ progress: 0.5 })
    job.finish()
    assert.equal(await emitter.flush(10_000), true)
    const { delivered, rejected, duplicates } = emitter.stats
    assert.deepEqual([delivered, rejected, duplicates], [2, 1, 0])
    assert.equal(warnings.length, 1)
  })

  test('gives up a request that is never answered, and sends it again', async (t) => {
    const { sidecar, emitter } = await connected(t, { timeoutMs: 30 })
    sidecar.trouble = (batch) => (batch === 1 ? 'silence' : undefined)
    await monitored({ app, emitter }, () => 1)
    assert.equal(await emitter.flush(10_000), true)
    assert.equal(sidecar.batches.length, 2)
  })

  test('an event that is refused permanently is counted and reported once, the rest is delivered', async (t) => {
    const { sidecar, emitter, warnings } = await connected(t)
    sidecar.verdict = ({ entity }) =>
      entity.business_key === 'bad' ? { field: 'entity.id', detail: 'is not valid' } : undefined
    for (const businessKey of ['good', 'bad', 'fine']) {
      await monitored({ app, businessKey, emitter }, () => 1)
    }
    assert.equal(await emitter.flush(10_000), true)
    assert.equal(sidecar.events.length, 4)
    assert.equal(emitter.stats.rejected, 2)
    assert.equal(emitter.stats.delivered, 4)
    assert.equal(sidecar.batches.length, 1)
    assert.equal(warnings.length, 1)
    assert.match(warnings[0]!, /entity\.id is not valid/)
  })

  test('an event that is refused for now is sent again, in order', async (t) => {
    const { sidecar, emitter } = await connected(t)
    let refusals = 3
    sidecar.verdict = () => (refusals-- > 0 ? { retryable: true } : undefined)
    for (let i = 0; i < 3; i++) await monitored({ app, emitter }, (job) => job.tick())
    assert.equal(await emitter.flush(10_000), true)
    assert.equal(sidecar.events.length, 9)
    assertInOrder({ ...sidecar, events: sidecar.batches.slice(1).flat() })
  })

  test('progress that a full sidecar refuses does not hold up starts and ends', async (t) => {
    const { sidecar, emitter } = await connected(t, { maxBatch: 10 })
    sidecar.verdict = ({ event }) => (event.kind === 'progress' ? { retryable: true } : undefined)
    for (let i = 0; i < 20; i++) await monitored({ app, emitter }, (job) => job.tick())
    await until('40 starts and ends', () => sidecar.events.length === 40)
    await until('the answers to be read', () => emitter.stats.queued === 20)
    sidecar.verdict = () => undefined
    assert.equal(await emitter.flush(10_000), true)
    assert.equal(sidecar.events.length, 60)
  })

  test('finds the one event for which a batch is unreadable', async (t) => {
    const { sidecar, emitter } = await connected(t)
    const poisoned = (n: number) => sidecar.batches[n - 1]!.some((e) => e.entity.sub_key === 'W13')
    sidecar.trouble = (n) => (poisoned(n) ? { status: 400 } : undefined)
    const job = startJob({ app, emitter })
    for (let i = 0; i < 25; i++) job.subjob(`W${i}`)
    assert.equal(await emitter.flush(10_000), true)
    assert.equal(sidecar.events.length, 25)
    assert.equal(emitter.stats.rejected, 1)
    assert.equal(emitter.stats.delivered, 25)
  })

  test('gives up an event after maxRetries, and immediately without retries', async (t) => {
    for (const [options, sent] of [
      [{ maxRetries: 2 }, 3],
      [{ enableRetries: false }, 1],
    ] as const) {
      const { sidecar, emitter, warnings } = await connected(t, options)
      sidecar.trouble = () => ({ status: 500 })
      startJob({ app, emitter }).tick()
      assert.equal(await emitter.flush(10_000), true)
      assert.equal(sidecar.batches.length, sent)
      assert.equal(emitter.stats.droppedEvents, 1)
      assert.equal(emitter.stats.droppedTicks, 1)
      assert.ok(warnings.some((warning) => warning.includes('too many retries')))
    }
  })

  test('a full queue drops the oldest progress first, and then the oldest of the rest', async (t) => {
    const { sidecar, emitter } = await connected(t, { maxQueue: 10 })
    await sidecar.stop()
    const jobs = Array.from({ length: 4 }, () => startJob({ app, emitter }))
    for (let i = 0; i < 100; i++) jobs[0]!.tick({ progress: i / 100 })
    assert.equal(emitter.stats.droppedTicks, 94)
    assert.equal(emitter.stats.droppedEvents, 0)
    for (const job of jobs) job.finish()
    assert.equal(emitter.stats.droppedTicks, 98)
    for (let i = 0; i < 4; i++) startJob({ app, emitter })
    assert.equal(emitter.stats.droppedTicks, 100)
    assert.equal(emitter.stats.droppedEvents, 2)
    assert.equal(emitter.stats.queued, 10)
    await sidecar.start()
    assert.equal(await emitter.flush(10_000), true)
    assert.deepEqual(kindsOf(sidecar.events).sort(), [
      ...Array(4).fill('finished'),
      ...Array(6).fill('started'),
    ])
    assertInOrder(sidecar)
  })

  test('is bounded in bytes as well', async (t) => {
    const { sidecar, emitter } = await connected(t, { maxQueueBytes: 100_000 })
    await sidecar.stop()
    const job = startJob({ app, emitter })
    for (let i = 0; i < 100; i++) job.tick({ metadata: { text: 'x'.repeat(20_000) } })
    assert.ok(emitter.stats.queuedBytes <= 100_000)
    assert.equal(emitter.stats.droppedTicks, 100 - (emitter.stats.queued - 1))
    assert.equal(emitter.stats.droppedEvents, 0)
  })

  test('keeps the order of each job and loses none through trouble of every kind', async (t) => {
    const { sidecar, emitter } = await connected(t, { maxBatch: 7, timeoutMs: 200 })
    const kinds = ['hang up', { status: 503 }, undefined, 'half an answer', undefined] as const
    sidecar.trouble = (batch) => (batch < 20 ? kinds[batch % kinds.length] : undefined)
    await Promise.all(
      Array.from({ length: 20 }, (_, i) =>
        monitored({ app, emitter }, async (job) => {
          for (let step = 0; step < 5; step++) {
            await wait((i % 3) + 1)
            job.tick({ progress: step / 5 })
          }
        }),
      ),
    )
    assert.equal(await emitter.flush(30_000), true)
    assert.equal(sidecar.events.length, 140)
    assertInOrder(sidecar)
    assert.equal(emitter.stats.delivered, 140)
    assert.equal(emitter.stats.duplicates, sidecar.repeats)
    assert.ok(sidecar.repeats > 0)
  })

  test('sends the token it is given', async (t) => {
    const { sidecar, emitter } = await connected(t, { token: 'abc.def' })
    startJob({ app, emitter })
    assert.equal(await emitter.flush(10_000), true)
    assert.deepEqual(sidecar.tokens, ['Bearer abc.def'])
  })

  test('takes defaults for invalid options, and names them', () => {
    const warnings: string[] = []
    const options = {
      baseUrl: 'ftp://x',
      timeoutMs: Number.NaN,
      maxQueue: -1,
      maxRetries: 'many',
      token: 'a\nb',
      warn: (message: string) => void warnings.push(message),
    }
    new SidecarEmitter(options as unknown as EmitterOptions)
    assert.deepEqual(warnings, [
      'wafermon: invalid options, using the defaults: timeoutMs, maxQueue, token, baseUrl, maxRetries',
    ])
    for (const odd of [null, 7, 'x', new Proxy({}, { ownKeys: () => assert.fail('trap') })]) {
      assert.doesNotThrow(() => new SidecarEmitter(odd as EmitterOptions))
    }
  })

  test('drops and counts what comes after close', async (t) => {
    const { sidecar, emitter } = await connected(t)
    const job = startJob({ app, emitter })
    assert.equal(await emitter.close(), true)
    job.finish()
    assert.equal(await emitter.flush(), true)
    assert.equal(sidecar.events.length, 1)
    assert.equal(emitter.stats.droppedEvents, 1)
  })
})

/** Runs a program that uses the SDK; how it ended and what it printed. */
async function runProgram(code: string, env: Record<string, string>) {
  const sdk = new URL('../../src/sdk/index.ts', import.meta.url).href
  const source = `import * as sdk from ${JSON.stringify(sdk)}\n${code}`
  const child = spawn(process.execPath, ['--input-type=module', '-e', source], {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let printed = ''
  child.stdout.on('data', (data) => (printed += data))
  child.stderr.on('data', (data) => (printed += data))
  const [code_] = await once(child, 'close')
  return { code: code_, printed }
}

describe('a program that ends', () => {
  test('delivers its news without polling', async (t) => {
    const sidecar = await fakeSidecar(t)
    const { code, printed } = await runProgram(
      `await sdk.monitored({ app: 'a', siteId: 'fab1' }, job => job.tick({ progress: 1 }))`,
      { SIDECAR_URL: sidecar.url },
    )
    assert.equal(code, 0, printed)
    assert.deepEqual(kindsOf(sidecar.events), ['started', 'progress', 'finished'])
    assert.equal(printed, '')
  })

  test('delivers before process.exit when it waits for flush', async (t) => {
    const sidecar = await fakeSidecar(t)
    const { code } = await runProgram(
      `await sdk.monitored({ app: 'a', siteId: 'fab1' }, () => 1); await sdk.flush(); process.exit(3)`,
      { SIDECAR_URL: sidecar.url },
    )
    assert.equal(code, 3)
    assert.equal(sidecar.events.length, 2)
  })

  test('ends by itself with the sidecar down, and reports what was not delivered', async () => {
    const { code, printed } = await runProgram(
      `await sdk.monitored({ app: 'a', emitter: new sdk.SidecarEmitter({ exitTimeoutMs: 100 }) }, () => 1)`,
      { SIDECAR_URL: 'http://127.0.0.1:9' },
    )
    assert.equal(code, 0)
    assert.match(printed, /2 events were not delivered before exit/)
  })

  test('ends by itself with a sidecar that takes the connection and never answers', async (t) => {
    const hole = createServer(() => {}).listen(0, '127.0.0.1')
    await once(hole, 'listening')
    t.after(() => hole.close())
    const { port } = hole.address() as { port: number }
    const { code, printed } = await runProgram(
      `const emitter = new sdk.SidecarEmitter({ exitTimeoutMs: 100, timeoutMs: 600000 })
       await sdk.monitored({ app: 'a', emitter }, () => 1)`,
      { SIDECAR_URL: `http://127.0.0.1:${port}` },
    )
    assert.equal(code, 0)
    assert.match(printed, /not delivered/)
  })

  test('keeps its own exit code when its work fails', async (t) => {
    const sidecar = await fakeSidecar(t)
    const { code, printed } = await runProgram(
      `try { await sdk.monitored({ app: 'a' }, () => { throw new Error('own') }) }
       catch (error) { console.log(error.message); process.exitCode = 5 }`,
      { SIDECAR_URL: sidecar.url },
    )
    assert.equal(code, 5)
    assert.equal(printed, 'own\n')
    assert.deepEqual(kindsOf(sidecar.events), ['started', 'error'])
  })
})
