import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { chmodSync, readdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, type TestContext, test } from 'node:test'
import Database from 'better-sqlite3'
import fc from 'fast-check'
import type { Verdict } from '../../src/core/admission.ts'
import { Spool } from '../../src/spool/spool.ts'
import type { SpoolOptions } from '../../src/spool/spool-options.ts'
import { admitted } from '../support/admitted.ts'
import { refuse } from '../support/draining.ts'
import { freshFolder } from '../support/processes.ts'
import { runs } from '../support/wild.ts'

const mib = 2 ** 20

function openSpool(t: TestContext, more: Partial<SpoolOptions> = {}): Spool {
  const options = {
    dir: freshFolder(),
    sinks: ['local-api'],
    maxBytes: 64 * mib,
    ballastBytes: 4096,
  }
  const spool = new Spool({ ...options, ...more })
  t.after(() => spool.close())
  return spool
}

let made = 0
const item = (more: Parameters<typeof admitted>[0] = {}) =>
  admitted({ json: JSON.stringify({ n: ++made }), ...more })
const items = (n: number, more: Parameters<typeof admitted>[0] = {}) =>
  Array.from({ length: n }, () => item(more))
const isLater = (verdict: Verdict | undefined, why: RegExp) =>
  typeof verdict === 'object' && 'later' in verdict && why.test(verdict.later)
const numbers = (spool: Spool, sink = 'local-api') =>
  spool.peek(sink, 10_000, 64 * mib).map(({ body }) => (JSON.parse(body) as { n: number }).n)

describe('Spool', () => {
  test('passes events on in the order they came, numbered from 1 without gaps', async (t) => {
    const spool = openSpool(t)
    await Promise.all([spool.append(items(3)), spool.append(items(2))])
    const batch = spool.peek('local-api', 10, mib)
    assert.deepEqual(
      batch.map(({ seq }) => seq),
      [1, 2, 3, 4, 5],
    )
    const sources = batch.map(({ body }) => (JSON.parse(body) as { source: object }).source)
    assert.deepEqual(sources[4], { id: spool.source.id, epoch: spool.source.epoch, seq: 5 })
  })

  test('takes an event once: within a request, across requests, after delivery, after a restart', async (t) => {
    const dir = freshFolder()
    const spool = openSpool(t, { dir })
    const one = item()
    assert.deepEqual(await spool.append([one, one]), ['stored', 'duplicate'])
    assert.deepEqual(await spool.append([one]), ['duplicate'])
    spool.ack('local-api', 1)
    assert.deepEqual(await spool.append([one]), ['duplicate'])
    spool.close()
    const again = openSpool(t, { dir })
    assert.deepEqual(await again.append([one, item()]), ['duplicate', 'stored'])
    assert.equal(again.peek('local-api', 10, mib)[0]!.seq, 2)
  })

  test('takes each event once, however many come together and whatever is among them', async (t) => {
    const keys = Array.from({ length: 60 }, () => crypto.randomUUID())
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.array(fc.constantFrom(...keys), { maxLength: 50 }), { maxLength: 6 }),
        async (groups) => {
          const spool = openSpool(t)
          const seen = new Set<string>()
          const asked = groups.map((group) => spool.append(group.map((key) => item({ key }))))
          const wanted = groups.map((group) =>
            group.map((key) => {
              const known = seen.has(key)
              seen.add(key)
              return known ? 'duplicate' : 'stored'
            }),
          )
          assert.deepEqual(await Promise.all(asked), wanted)
          assert.deepEqual(
            spool.peek('local-api', 1000, mib).map(({ seq }) => seq),
            [...seen].map((_, i) => i + 1),
          )
          spool.close()
        },
      ),
      { numRuns: runs(100) },
    )
  })

  test('keeps nothing of a commit that fails in the middle, and gives its numbers to the next', async (t) => {
    const spool = openSpool(t)
    await spool.append(items(1))
    const some = items(40)
    const unwritable = { event: item().event, json: undefined as unknown as string }
    const failing = spool.append([...some, unwritable])
    await assert.rejects(Promise.all([spool.append(items(1)), failing]), /cannot be written/)
    await assert.rejects(failing, /cannot be written/)
    assert.deepEqual([spool.count, numbers(spool).length], [1, 1])
    assert.deepEqual(new Set(await spool.append(some)), new Set(['stored']))
    const batch = spool.peek('local-api', 100, mib)
    assert.deepEqual(
      batch.map(({ seq }) => seq),
      batch.map((_, i) => i + 1),
    )
    const stamps = batch.map(({ body }) => (JSON.parse(body) as { source: { seq: number } }).source)
    assert.deepEqual(
      stamps.map(({ seq }) => seq),
      batch.map((_, i) => i + 1),
    )
  })

  test('sees what repeats in a commit whose other events are new, whatever the statement they share', async (t) => {
    const spool = openSpool(t)
    const some = items(32)
    const repeated = [...some.slice(0, 15), some[0]!, ...some.slice(15), some[31]!]
    const verdicts = await spool.append(repeated)
    assert.deepEqual(
      verdicts.flatMap((verdict, i) => (verdict === 'duplicate' ? [i] : [])),
      [15, 33],
    )
    assert.deepEqual(new Set(await spool.append(some)), new Set(['duplicate']))
    assert.equal(spool.count, 32)
  })

  test('keeps what one of two sinks has not acknowledged', async (t) => {
    const spool = openSpool(t, { sinks: ['a', 'b'] })
    await spool.append(items(3))
    spool.ack('a', 3)
    assert.equal(spool.lag('a'), 0)
    assert.equal(spool.lag('b'), 3)
    assert.equal(numbers(spool, 'b').length, 3)
    spool.ack('b', 3)
    assert.equal(spool.count, 0)
  })

  test('keeps the stamp of an earlier spool and gives no number of its own', async (t) => {
    const spool = openSpool(t)
    const source = { id: 'other', epoch: 'e', seq: 7 }
    await spool.append([item(), item({ stamped: true, json: JSON.stringify({ source }) }), item()])
    const stamps = spool
      .peek('local-api', 9, mib)
      .map(({ body }) => (JSON.parse(body) as { source: { seq: number } }).source.seq)
    assert.deepEqual(stamps, [1, 7, 2])
  })

  test('sheds ticks above the soft cap, takes ends until it is full, and loses nothing it took', async (t) => {
    const spool = openSpool(t, { maxBytes: 16 * mib })
    const big = (tick: boolean) =>
      item({
        kind: tick ? 'progress' : 'finished',
        json: JSON.stringify({ n: ++made, x: randomBytes(30_000).toString('hex') }),
      })
    const taken: number[] = []
    let shed = 0
    for (let i = 0; i < 400; i++) {
      const [tick, end] = [big(true), big(false)]
      const verdicts = await spool.append([tick, end])
      for (const [j, verdict] of verdicts.entries()) {
        if (verdict === 'stored') taken.push((JSON.parse([tick, end][j]!.json) as { n: number }).n)
      }
      if (isLater(verdicts[0], /progress and metric events are refused/)) {
        shed++
        assert.equal(verdicts[1], 'stored')
      }
      if (isLater(verdicts[1], /SPOOL_MAX_BYTES/)) break
    }
    assert.ok(shed > 0)
    assert.match(spool.trouble!, /SPOOL_MAX_BYTES/)
    assert.deepEqual(numbers(spool), taken)
    assert.equal(spool.count, taken.length, 'what was refused got no number')
    spool.ack('local-api', taken.length)
    assert.equal(spool.trouble, undefined)
    assert.deepEqual(await spool.append([big(true)]), ['stored'])
  })

  test('sets aside what a sink refuses, and offers it to that sink alone when asked', async (t) => {
    const spool = openSpool(t, { sinks: ['local-api', 'other'] })
    await spool.append(items(3))
    const [, second] = spool.peek('local-api', 10, mib)
    spool.ack('local-api', 3, [refuse(second)])
    const reject = spool.rejects.get(spool.rejects.list(10)[0]!.id)
    assert.deepEqual([reject!.seq, reject!.field, reject!.detail], [2, 'event.at', 'odd'])
    assert.equal(spool.retryReject(reject!.id), true)
    const due = (sink: string) =>
      spool.rejects.due(sink, 10, mib).map(({ event: { seq, body } }) => ({ seq, body }))
    assert.deepEqual(due('local-api'), [{ seq: 2, body: reject!.body }])
    assert.deepEqual([due('other'), spool.count, spool.lag('local-api')], [[], 3, 0])
    assert.deepEqual(spool.rejects.list(10), [])
    assert.equal(spool.retryReject(99), false)
  })

  test('refuses a folder for all users, in which others may make files with our names first', () => {
    const dir = freshFolder()
    chmodSync(dir, 0o1777)
    assert.throws(() => new Spool({ dir, sinks: ['a'], maxBytes: 2 ** 20 }), {
      name: 'ConfigError',
      message: /^SPOOL_DIR: .* is a folder for all users: choose one for the spool alone/,
    })
  })

  test('refuses a folder that another sidecar uses, by name', (t) => {
    const spool = openSpool(t)
    assert.throws(
      () => openSpool(t, { dir: spool.dir }),
      /SPOOL_DIR: .* is in use by another sidecar/,
    )
  })
})

describe('a damaged spool', () => {
  async function filled(t: TestContext, n: number) {
    const spool = openSpool(t)
    await spool.append(items(n, { json: JSON.stringify({ x: 'y'.repeat(500) }) }))
    spool.close()
    return { dir: spool.dir, path: join(spool.dir, 'spool.db'), epoch: spool.source.epoch }
  }

  const damage: [string, (path: string) => void][] = [
    ['garbage for a header', (path) => writeFileSync(path, randomBytes(8192))],
    ['a file of no length', (path) => truncateSync(path, 0)],
    ['a file that was cut off', (path) => truncateSync(path, 40_960)],
    [
      'garbage in the middle',
      (path) => {
        const bytes = readFileSync(path)
        randomBytes(20_000).copy(bytes, Math.floor(bytes.length / 2))
        writeFileSync(path, bytes)
      },
    ],
  ]
  test('is carried over whole when the recorded position of its sink is after the last event', async (t) => {
    const { dir, path } = await filled(t, 20)
    const db = new Database(path)
    db.exec(`update sink set acked = 1000000; update meta set id = 'damaged'`)
    db.close()
    const spool = openSpool(t, { dir })
    assert.equal(spool.report.damaged?.salvaged, 20)
    assert.equal(spool.count, 20)
  })

  for (const [name, spoil] of damage) {
    test(`does not keep a sidecar from starting: ${name}`, async (t) => {
      const { dir, path, epoch } = await filled(t, 500)
      spoil(path)
      const spool = openSpool(t, { dir })
      assert.notEqual(spool.source.epoch, epoch)
      if (name !== 'a file of no length') {
        assert.ok(spool.report.damaged)
        assert.equal(spool.count, spool.report.damaged.salvaged)
        assert.ok(readdirSync(dir).some((file) => file.startsWith('damaged-')))
      }
      // Readable events keep their old stamp, so that nothing is counted twice.
      for (const { body } of spool.peek('local-api', 1, mib)) {
        assert.equal((JSON.parse(body) as { source: { epoch: string } }).source.epoch, epoch)
      }
      assert.deepEqual(await spool.append([item()]), ['stored'])
    })
  }
})
