import assert from 'node:assert/strict'
import { cpSync, mkdirSync, readFileSync, rmdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, type TestContext, test } from 'node:test'
import type { Outgoing, Verdict } from '../../src/core/delivery.ts'
import { fromMs } from '../../src/core/time.ts'
import { clock } from '../../src/platform/clock.ts'
import { Pauses } from '../../src/spool/pauses.ts'
import { Spool } from '../../src/spool/spool.ts'
import type { SpoolOptions } from '../../src/spool/spool-options.ts'
import { verifySpool } from '../../src/spool/verify.ts'
import { refuse, startDrainingTo, toAppend } from '../support/draining.ts'
import { freshFolder, until } from '../support/processes.ts'

const mib = 2 ** 20

function open(t: TestContext, more: Partial<SpoolOptions> = {}): Spool {
  const standard = { sinks: ['a', 'b'], maxBytes: 64 * mib, ballastBytes: 4096 }
  const spool = new Spool({ dir: freshFolder(), ...standard, ...more })
  t.after(() => spool.close())
  return spool
}

const events = (n: number, bytes = 10) =>
  Array.from({ length: n }, (_, i) => toAppend({ n: i, x: 'y'.repeat(bytes) }))
const seqs = (spool: Spool, sink: string) =>
  spool.peek(sink, 100_000, 64 * mib).map(({ seq }) => seq)
const judged = (batch: readonly Outgoing[], verdict: (event: Outgoing) => Verdict) => ({
  kind: 'judged' as const,
  verdicts: batch.map(verdict),
})

/** What a process killed right now would leave. */
function afterKill(t: TestContext, { dir }: Spool, more: Partial<SpoolOptions> = {}): Spool {
  const copy = freshFolder()
  cpSync(dir, copy, { recursive: true })
  return open(t, { dir: copy, ...more })
}

describe('acknowledgments of all sinks', () => {
  test('are written with the next append, and share its commit', async (t) => {
    let commits = 0
    const spool = open(t, { onCommit: () => commits++ })
    await spool.append(events(10))
    spool.ack('a', 4)
    spool.ack('b', 7, [refuse(spool.peek('b', 1, mib)[0])])
    assert.deepEqual(
      ['a', 'b'].map((sink) => afterKill(t, spool).acked(sink)),
      [0, 0],
    )
    await spool.append(events(1))
    const again = afterKill(t, spool)
    assert.deepEqual(
      ['a', 'b'].map((sink) => again.acked(sink)),
      [4, 7],
    )
    assert.deepEqual([again.rejects.list(9).length, commits], [1, 2])
  })

  test('are written without an append too, soon', async (t) => {
    const spool = open(t)
    await spool.append(events(10))
    spool.ack('a', 4)
    await until('it to be on disk', () => afterKill(t, spool).acked('a') === 4)
  })

  test('are written at the stop', async (t) => {
    const spool = open(t)
    await spool.append(events(10))
    spool.ack('a', 4)
    spool.close()
    assert.equal(open(t, { dir: spool.dir }).acked('a'), 4)
  })
})

test('events that all sinks have are deleted in slices, also after a restart', async (t) => {
  const spool = open(t)
  await spool.append(events(9000))
  for (const sink of ['a', 'b']) spool.ack(sink, 9000)
  spool.flush()
  const again = afterKill(t, spool)
  assert.equal(verifySpool(copyOf(spool)).events, 5000)
  await until('the rest to go', () => verifySpool(copyOf(again)).events === 0)
  assert.equal(again.count, 0)
})

function copyOf({ dir }: Spool): string {
  const copy = freshFolder()
  cpSync(dir, copy, { recursive: true })
  return copy
}

describe('a sink that is not required', () => {
  const sinks = [
    { name: 'a' },
    { name: 'mirror', required: false },
    { name: 'other', required: false },
  ]

  test('does without its oldest events above 70 % of the cap; one further on keeps its own', async (t) => {
    const spool = open(t, { sinks, maxBytes: 32 * mib })
    for (let i = 0; i < 400; i++) {
      assert.deepEqual(new Set(await spool.append(events(4, 40_000))), new Set(['stored']))
      spool.ack('a', spool.lastOut)
      if (i % 2 === 0) spool.ack('other', spool.lastOut)
    }
    const { skipped, lag, gap, delivered } = spool.accounts.get('mirror')
    assert.ok(skipped > 600 && lag > 100, `${skipped} skipped, ${lag} kept`)
    assert.deepEqual([delivered, gap?.from_seq, gap?.to_seq, gap?.events], [0, 1, skipped, skipped])
    assert.match(gap?.reason ?? '', /70 % of SPOOL_MAX_BYTES/)
    assert.deepEqual(seqs(spool, 'mirror').slice(0, 1), [skipped + 1])
    assert.equal(spool.accounts.get('other').skipped, 0)
    assert.ok(spool.bytes < 0.8 * 32 * mib)
    spool.close()
    assert.deepEqual(verifySpool(spool.dir).odd, [])
    assert.deepEqual(open(t, { dir: spool.dir, sinks }).accounts.get('mirror').gap, gap)
  })

  test('is not skipped for what a required one holds', async (t) => {
    const spool = open(t, { sinks, maxBytes: 32 * mib })
    for (;;) {
      const verdicts = await spool.append(events(4, 40_000))
      if (verdicts.some((verdict) => verdict !== 'stored')) break
    }
    for (const { skipped } of spool.accounts.list()) assert.equal(skipped, 0)
    assert.match(spool.trouble ?? '', /SPOOL_MAX_BYTES/)
  })

  test('goes on behind the gap when events were skipped that are on their way', async (t) => {
    const spool = open(t, { sinks, maxBytes: 32 * mib })
    await spool.append(events(20, 40_000))
    const got: number[] = []
    let free: () => void = () => {}
    const held = new Promise<void>((done) => {
      free = done
    })
    const draining = startDrainingTo(spool, 'mirror', async (batch) => {
      await held
      got.push(...batch.map(({ seq }) => seq))
      return judged(batch, () => 'taken')
    })
    t.after(() => draining.stop())
    while (spool.accounts.get('mirror').skipped === 0) {
      await spool.append(events(4, 40_000))
      for (const sink of ['a', 'other']) spool.ack(sink, spool.lastOut)
    }
    free()
    await until('it to be up to date', () => spool.lag('mirror') === 0)
    const { skipped, gap } = spool.accounts.get('mirror')
    const after = got.filter((seq) => seq > gap!.to_seq)
    assert.deepEqual(
      after.toSorted((a, b) => a - b),
      Array.from({ length: spool.lastOut - skipped }, (_, i) => skipped + 1 + i),
    )
    assert.equal(draining.drain.state.reason, undefined)
  })
})

describe('a sink that an operator has paused', () => {
  test('closes the door if it is required, and how to resume it is said', async (t) => {
    const spool = open(t, { maxBytes: 16 * mib })
    spool.accounts.pause('b', 'upkeep')
    for (let full = false; !full; ) {
      const verdicts = await spool.append(events(4, 40_000))
      full = verdicts.some((verdict) => verdict !== 'stored')
      spool.ack('a', spool.lastOut)
    }
    assert.match(spool.trouble ?? '', /sink b is owed .* wafermon spool sinks resume b$/)
  })

  test('is not known from a file that is damaged, which the next word of the operator replaces', (t) => {
    for (const word of ['pause', 'resume'] as const) {
      const dir = freshFolder()
      open(t, { dir }).close()
      writeFileSync(join(dir, 'paused'), 'x\n')
      const spool = open(t, { dir })
      assert.match(spool.accounts.trouble ?? '', /paused cannot be read/)
      if (word === 'pause') spool.accounts.pause('a', 'upkeep')
      else spool.accounts.resume('a')
      assert.equal(spool.accounts.trouble, undefined)
      spool.close()
      const again = open(t, { dir })
      assert.deepEqual(
        [again.accounts.trouble, again.accounts.isPaused('a')],
        [undefined, word === 'pause'],
      )
    }
  })
})

describe('the file of paused sinks', () => {
  test('holds every sink while it cannot be read, and is kept until it can', async () => {
    const dir = freshFolder()
    const file = join(dir, 'paused')
    const first = new Pauses(dir)
    first.set('b', { at: '2026-03-01T12:00:00.000000Z', reason: 'upkeep' })
    const words = readFileSync(file, 'utf8')
    // Root may read every file, and no user reads a folder as one.
    rmSync(file)
    mkdirSync(file)
    const pauses = new Pauses(dir)
    for (const name of ['a', 'b']) assert.match(pauses.get(name)?.reason ?? '', /\(EISDIR\)/)
    assert.match(pauses.trouble ?? '', /any sink may be paused in it: let this user read it/)
    assert.throws(() => pauses.set('a', undefined), { code: 'EISDIR' })
    rmdirSync(file)
    writeFileSync(file, words)
    await until('it to be read', () => pauses.trouble === undefined)
    assert.deepEqual([pauses.get('a'), pauses.get('b')?.reason], [undefined, 'upkeep'])
  })
})

describe('a sink that is not configured any more', () => {
  test('keeps its events until an operator forgets it, and closes the door if it is required', async (t) => {
    const dir = freshFolder()
    const both = open(t, { dir, maxBytes: 16 * mib })
    await both.append(events(3))
    both.ack('b', 1, [refuse(both.peek('b', 1, mib)[0])])
    both.close()
    const spool = open(t, { dir, sinks: ['a'], maxBytes: 16 * mib })
    for (let full = false; !full; ) {
      const verdicts = await spool.append(events(4, 40_000))
      full = verdicts.some((verdict) => verdict !== 'stored')
      spool.ack('a', spool.lastOut)
    }
    assert.match(spool.trouble ?? '', /sink b is owed .* wafermon spool sinks forget b$/)
    assert.throws(() => spool.accounts.forget('a'), /a is configured/)
    assert.equal(spool.accounts.forget('x'), false)
    assert.throws(() => spool.retryReject(1), /sink b is not configured/)
    assert.equal(spool.accounts.forget('b'), true)
    assert.deepEqual([spool.trouble, spool.count, spool.rejects.list(9)], [undefined, 0, []])
    assert.deepEqual(await spool.append(events(1)), ['stored'])
    spool.close()
    const again = open(t, { dir, sinks: ['a'] })
    assert.deepEqual(
      again.accounts.list().map(({ name }) => name),
      ['a'],
    )
  })

  test('is where it was when it is configured again', async (t) => {
    const dir = freshFolder()
    const first = open(t, { dir })
    await first.append(events(10))
    first.ack('b', 4)
    first.close()
    const without = open(t, { dir, sinks: ['a'] })
    without.ack('a', 10)
    await without.append(events(2))
    without.close()
    assert.deepEqual(seqs(open(t, { dir }), 'b'), [5, 6, 7, 8, 9, 10, 11, 12])
  })

  test('is still owed its events when the spool is damaged meanwhile', async (t) => {
    const dir = freshFolder()
    const both = open(t, { dir, sinks: ['a', { name: 'b', required: false }] })
    await both.append(events(300, 500))
    both.close()
    const path = join(dir, 'spool.db')
    const bytes = readFileSync(path)
    writeFileSync(path, bytes.fill(0xa5, bytes.length - 9000, bytes.length - 8500))
    const spool = open(t, { dir, sinks: ['a'] })
    const { salvaged } = await until('the events', () => spool.report.damaged)
    const { detached, required, lag } = spool.accounts.get('b')
    assert.deepEqual([detached, required, lag], [true, false, salvaged])
  })
})

describe('a new sink', () => {
  for (const [from, left] of [
    ['oldest', [4, 5, 6]],
    ['now', [6]],
  ] as const) {
    test(`begins with the ${from}`, async (t) => {
      const dir = freshFolder()
      const before = open(t, { dir, sinks: ['a'] })
      await before.append(events(5))
      before.ack('a', 3)
      before.close()
      const spool = open(t, { dir, sinks: ['a', { name: 'new', from }] })
      await spool.append(events(1))
      assert.deepEqual(seqs(spool, 'new'), left)
      assert.equal(spool.accounts.get('new').accepted, left.length)
    })
  }
})

describe('a sink whose readers do not need order', () => {
  /** A spool with a backlog that is two minutes old. */
  async function behind(t: TestContext, count: number): Promise<Spool> {
    const spool = open(t, { sinks: ['a'] })
    const old = fromMs(clock.nowMs() - 120_000)
    const items = events(count).map(({ event, json }) => ({
      event: { ...event, received_at: old },
      json,
    }))
    await spool.append(items)
    return spool
  }

  for (const ordered of [false, true]) {
    test(`${ordered ? 'has its backlog first if it is ordered' : 'takes new events before a long backlog'}`, async (t) => {
      const spool = await behind(t, 600)
      const got: number[] = []
      const draining = startDrainingTo(
        spool,
        'a',
        async (batch) => {
          got.push(...batch.map(({ seq }) => seq))
          if (got.length > 20 && spool.lastOut === 600) await spool.append(events(5))
          return judged(batch, ({ seq }) =>
            seq % 100 === 0 ? { field: 'n', detail: '' } : 'taken',
          )
        },
        { ordered },
      )
      t.after(() => draining.stop())
      await until('it to be up to date', () => spool.lastOut === 605 && spool.lag('a') === 0)
      const all = Array.from({ length: 605 }, (_, i) => i + 1)
      assert.deepEqual(
        got.toSorted((a, b) => a - b),
        all,
      )
      const at = got.indexOf(605)
      assert.ok(ordered ? at > 590 : at < 150, `${at}`)
      assert.deepEqual([spool.acked('a'), spool.accounts.isLive('a')], [605, false])
      const { delivered, rejected, accepted } = spool.accounts.get('a')
      assert.deepEqual([delivered, rejected, accepted], [599, 6, 605])
    })
  }

  test('has both lanes after a kill, and each event in one of them', async (t) => {
    const spool = await behind(t, 100)
    spool.ack('a', 10)
    spool.accounts.openLive('a')
    await spool.append(events(20))
    spool.ack('a', 110, [], { lane: 'live' })
    spool.flush()
    const again = afterKill(t, spool, { sinks: ['a'] })
    assert.deepEqual([again.acked('a'), again.acked('a', 'live'), again.lag('a')], [10, 110, 100])
    again.close()
    assert.deepEqual(verifySpool(again.dir).odd, [])
    const last = open(t, { dir: again.dir, sinks: ['a'] })
    const got: number[] = []
    const draining = startDrainingTo(last, 'a', async (batch) => {
      got.push(...batch.map(({ seq }) => seq))
      return judged(batch, () => 'taken')
    })
    t.after(() => draining.stop())
    await until('it to be up to date', () => last.lag('a') === 0)
    const owed = [...Array(90).keys()].map((i) => i + 11)
    assert.deepEqual(
      got.toSorted((a, b) => a - b),
      [...owed, ...[...Array(10).keys()].map((i) => i + 111)],
    )
  })
})

test('events that a sink does not want are passed over, without a look into them', async (t) => {
  const spool = open(t, { sinks: ['a'] })
  await spool.append(
    Array.from({ length: 50 }, (_, i) => {
      const { event } = toAppend({})
      const kind = i % 5 === 0 ? ('finished' as const) : ('progress' as const)
      const entity = { type: 'job' as const, id: 'x' }
      return { event: { ...event, entity, event: { ...event.event, kind } }, json: '{' }
    }),
  )
  const got: number[] = []
  const draining = startDrainingTo(
    spool,
    'a',
    async (batch) => {
      got.push(...batch.map(({ seq }) => seq))
      return judged(batch, () => 'taken')
    },
    { wants: (event) => event.class?.kind === 'finished' },
  )
  t.after(() => draining.stop())
  await until('it to be up to date', () => spool.lag('a') === 0)
  assert.deepEqual(got, [1, 6, 11, 16, 21, 26, 31, 36, 41, 46])
  const { delivered, filtered, accepted } = spool.accounts.get('a')
  assert.deepEqual([delivered, filtered, accepted], [10, 40, 50])
})

test('what a sink is owed is known in bytes', async (t) => {
  const spool = open(t)
  await spool.append(events(10, 1000))
  const sizes = spool.peek('a', 10, mib).map(({ body }) => body.replace(/,"source".*/, '}').length)
  const total = sizes.reduce((sum, one) => sum + one)
  assert.equal(spool.accounts.get('a').lagBytes, total)
  spool.ack('a', 4)
  spool.flush()
  const left = sizes.slice(4).reduce((sum, one) => sum + one)
  for (const one of [spool, afterKill(t, spool)]) {
    assert.equal(one.accounts.get('a').lagBytes, left)
    assert.equal(one.accounts.get('b').lagBytes, total)
  }
})
