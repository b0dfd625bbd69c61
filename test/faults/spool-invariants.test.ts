import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { Delivery } from '../../src/core/delivery.ts'
import type { Spool } from '../../src/spool/spool.ts'
import { admitted } from '../support/admitted.ts'
import { startDrainingTo } from '../support/draining.ts'
import { type Killed, killSpool, owed, reopen, type Taken } from '../support/killed-spool.ts'
import { freshFolder, until } from '../support/processes.ts'

/* The invariants of src/spool/schema.ts, each with a process that is killed (kill -9) while it works. */

const mib = 2 ** 20
const usual = { maxBytes: 64 * mib, bytes: 200, together: 5 }

const distinct = (taken: readonly Taken[]) => new Set(taken.map(({ n }) => n))

/** Events that were answered for and that a sink neither took nor is owed. */
function lost({ answered, taken, spool }: Killed, sink: string): number[] {
  const there = distinct(taken(sink))
  for (const { n } of owed(spool, sink)) there.add(n)
  return answered().filter((n) => !there.has(n))
}

/** The numbers of what a sink is owed are without gaps, up to the last. */
function assertContiguous(spool: Spool, sink: string): void {
  const seqs = owed(spool, sink).map(({ seq }) => seq)
  assert.deepEqual(
    seqs,
    seqs.map((_, i) => spool.acked(sink) + 1 + i),
  )
}

function assertSums(spool: Spool): void {
  for (const account of spool.accounts.list()) {
    const { accepted, delivered, filtered, rejected, skipped, lag } = account
    const sum = delivered + filtered + rejected + skipped + lag
    assert.equal(sum, accepted, JSON.stringify(account))
    assert.ok(Math.min(delivered, filtered, rejected, skipped, lag) >= 0)
  }
}

describe('a spool that is killed', () => {
  test('1. has every event that it answered for, numbered without gaps', async (t) => {
    const sinks = [
      { name: 'a', does: 'takes' as const },
      { name: 'b', does: 'dead' as const },
    ]
    const killed = await killSpool(t, { ...usual, sinks })
    assert.deepEqual([lost(killed, 'a'), lost(killed, 'b')], [[], []])
    assert.equal(killed.spool.acked('b'), 0)
    assertContiguous(killed.spool, 'b')
    // None has two numbers, and none was handed out before it was on disk.
    const numbers = new Map(owed(killed.spool, 'b').map(({ n, seq }) => [n, seq]))
    for (const { n, seq } of killed.taken('a')) assert.equal(numbers.get(n), seq)
  })

  test('2. has no position after what the sink settled, and a state that belongs to its position', async (t) => {
    const sinks = [
      { name: 'a', does: 'takes half' as const },
      { name: 'b', does: 'slow' as const, state: true },
      { name: 'c', does: 'takes' as const, ordered: false },
    ]
    const killed = await killSpool(t, { ...usual, sinks }, { kills: 3 })
    for (const { name } of sinks) assert.deepEqual(lost(killed, name), [], name)
    const { spool, taken } = killed
    for (const { name } of sinks) {
      const there = new Set(taken(name).map(({ seq }) => seq))
      for (let seq = 1; seq <= spool.acked(name); seq++) assert.ok(there.has(seq), `${name} ${seq}`)
    }
    assert.equal(spool.accounts.state('b'), `${spool.acked('b')}`)
  })

  test('3. keeps what any sink is owed, configured or not', async (t) => {
    const dir = freshFolder()
    const away = { name: 'away', does: 'dead' as const }
    const stays = { name: 'stays', does: 'takes' as const }
    const before = await killSpool(t, { ...usual, sinks: [stays, away] }, { dir, kills: 2 })
    before.spool.close()
    const without = await killSpool(t, { ...usual, sinks: [stays] }, { dir, kills: 2 })
    const { detached, lag } = without.spool.accounts.get('away')
    assert.deepEqual([detached, lag, lost(without, 'away')], [true, without.spool.count, []])
    without.spool.close()
    const again = reopen(t, dir, { ...usual, sinks: [stays, away] })
    assert.deepEqual(lost({ ...without, spool: again }, 'away'), [])
    assert.equal(again.acked('away'), 0)
  })

  test('4. moves a position by a verdict, or by a gap of a sink that is not required', async (t) => {
    const sinks = [
      { name: 'local', does: 'takes' as const },
      { name: 'mirror', does: 'dead' as const, required: false },
    ]
    const options = { sinks, maxBytes: 16 * mib, bytes: 40_000, together: 4 }
    const { spool, answered, refused, taken } = await killSpool(t, options, { answers: 450 })
    const { gap, skipped, accepted, lag, delivered } = spool.accounts.get('mirror')
    assert.ok(gap && skipped > 100, `${skipped} skipped`)
    assert.deepEqual([gap.from_seq, gap.to_seq, gap.events], [1, spool.acked('mirror'), skipped])
    assert.deepEqual([delivered, taken('mirror')], [0, []])
    assert.equal(accepted, skipped + lag)
    assertContiguous(spool, 'mirror')
    assert.equal(spool.accounts.get('local').skipped, 0)
    // A sink that is dead and not required costs no event at the door.
    assert.equal(refused(), 0)
    assert.ok(answered().length * options.bytes > 2 * options.maxBytes)
    assert.ok(spool.bytes < options.maxBytes)
  })

  test('5. refuses events for what required sinks are owed, and for nothing else', async (t) => {
    const sinks = [
      { name: 'local', does: 'dead' as const },
      { name: 'mirror', does: 'dead' as const, required: false },
    ]
    const options = { sinks, maxBytes: 16 * mib, bytes: 40_000, together: 4 }
    const isDue = ({ refused }: { refused: () => number }) => refused() > 20
    const killed = await killSpool(t, options, { kills: 1, answers: 50, isDue })
    assert.deepEqual(lost(killed, 'local'), [])
    assert.match(killed.spool.trouble ?? '', /SPOOL_MAX_BYTES/)
    assert.equal(killed.spool.accounts.get('local').skipped, 0)
    // Once that sink has taken them the door is open, although the mirror has none.
    killed.spool.ack('local', killed.spool.lastOut)
    assert.equal(killed.spool.trouble, undefined)
    assert.deepEqual(await killed.spool.append([admitted()]), ['stored'])
  })

  test('6. has an account of each event, for each sink', async (t) => {
    const sinks = [
      { name: 'a', does: 'takes' as const, ordered: false },
      { name: 'b', does: 'refuses every tenth' as const },
      { name: 'c', does: 'takes half' as const },
      { name: 'd', does: 'dead' as const, required: false },
      { name: 'e', does: 'slow' as const },
    ]
    const { spool } = await killSpool(t, { ...usual, sinks, bytes: 2000, maxBytes: 16 * mib })
    assertSums(spool)
    assert.ok(spool.accounts.get('b').rejected > 0)
    assert.equal(spool.accounts.get('b').rejected, spool.rejects.count('b').count)
    for (const { name, lag } of spool.accounts.list()) assert.equal(owed(spool, name).length, lag)
  })

  test('7. has each refused event as a reject, and offers it again to its own sink alone', async (t) => {
    const sinks = [
      { name: 'a', does: 'refuses every tenth' as const },
      { name: 'b', does: 'takes' as const },
    ]
    const options = { ...usual, sinks, retries: true }
    const { spool, answered, taken } = await killSpool(t, options)
    const stamps = new Map(taken('b').map((one) => [one.n, one]))
    const resting = spool.rejects.list(10_000).map(({ id }) => spool.rejects.get(id)!)
    const again = spool.rejects.due('a', 10_000, mib).map(({ event }) => event)
    const rejects = [...resting, ...again].map(({ seq, body }) => {
      const { n, source } = JSON.parse(body) as { n: number; source: { seq: number } }
      return { n, seq, stamp: source.seq }
    })
    const waiting = new Set(owed(spool, 'a').map(({ n }) => n))
    const refused = answered().filter((n) => n % 10 === 0 && !waiting.has(n))
    const there = new Set(rejects.map(({ n }) => n))
    assert.deepEqual(
      refused.filter((n) => !there.has(n)),
      [],
    )
    assert.equal(there.size, rejects.length, 'each once')
    for (const one of rejects) {
      const sent = stamps.get(one.n)
      if (sent) assert.deepEqual(one, sent)
    }
    // The other sink has each event once, but for those that were not recorded yet at a kill.
    const twice = taken('b').length - stamps.size
    assert.ok(twice < stamps.size / 4, `${twice} of ${stamps.size} twice`)
  })

  test('8. knows the events that it took, whatever sinks did with them', async (t) => {
    const sinks = [
      { name: 'a', does: 'takes' as const },
      { name: 'b', does: 'dead' as const },
    ]
    const { spool, answered } = await killSpool(t, { ...usual, sinks })
    const items = answered().map((n) =>
      admitted({ key: `00000000-0000-4000-8000-${String(n).padStart(12, '0')}` }),
    )
    assert.deepEqual(new Set(await spool.append(items)), new Set(['duplicate']))
  })

  test('9. holds a bounded part of a backlog in memory, and loses none of it', async (t) => {
    const names = Array.from({ length: 8 }, (_, i) => `sink${i}`)
    const sinks = names.map((name) => ({ name, does: 'dead' as const }))
    const options = { sinks, maxBytes: 512 * mib, bytes: 300_000, together: 10 }
    const killed = await killSpool(t, options, { kills: 1, answers: 250 })
    for (const name of names) assert.deepEqual(lost(killed, name), [])
    const { spool } = killed
    let held = 0
    const peek = spool.peek.bind(spool)
    spool.peek = (...given) => {
      const batch = peek(...given)
      held += batch.reduce((sum, { bytes }) => sum + bytes, 0)
      return batch
    }
    let hanging = 0
    const stuck = new Promise<Delivery>(() => {})
    const limits = { events: 500, bytes: 4 * mib }
    for (const name of names) {
      const never = () => {
        hanging++
        return stuck
      }
      // They hang for ever, and so does what would wait for them.
      void startDrainingTo(spool, name, never, { limits })
    }
    await until('all to hang', () => hanging >= names.length)
    await new Promise((done) => setTimeout(done, 200))
    assert.ok(held >= 8 * 3 * mib && held <= 64 * mib + names.length * 301_000, `${held / mib} MiB`)
  })
})
