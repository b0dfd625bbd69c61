import assert from 'node:assert/strict'
import { cpSync } from 'node:fs'
import { describe, type TestContext, test } from 'node:test'
import type { Outgoing } from '../../src/core/delivery.ts'
import type { RejectChange } from '../../src/spool/rejects.ts'
import { Spool } from '../../src/spool/spool.ts'
import type { SpoolOptions } from '../../src/spool/spool-options.ts'
import { refuse, sinkName, startDraining, stopAfter, toAppend } from '../support/draining.ts'
import { freshFolder, until } from '../support/processes.ts'

const mib = 2 ** 20

function openSpool(t: TestContext, more: Partial<SpoolOptions> = {}): Spool {
  const standard = { sinks: [sinkName], maxBytes: 64 * mib, ballastBytes: 4096 }
  const spool = new Spool({ dir: freshFolder(), ...standard, ...more })
  t.after(() => spool.close())
  return spool
}

const events = (n: number, bytes = 10) =>
  Array.from({ length: n }, (_, i) => toAppend({ n: i, x: 'y'.repeat(bytes) }))
const ids = (spool: Spool) => spool.rejects.list(100).map(({ id }) => id)

/** Puts that many events in, all of which the sink refuses. */
async function refuseAll(spool: Spool, n: number): Promise<void> {
  await spool.append(events(n))
  const offered = spool.peek(sinkName, n, mib)
  spool.ack(
    sinkName,
    offered.at(-1)!.seq,
    offered.map((event) => refuse(event)),
  )
}

const deliver = (takes: (seq: number) => boolean) => async (batch: readonly Outgoing[]) => ({
  kind: 'judged' as const,
  verdicts: batch.map(({ seq }) =>
    takes(seq) ? ('taken' as const) : { field: 'event.at', detail: 'odd' },
  ),
})

describe('a sink whose rejects have reached their limit', () => {
  test('stops with that reason and drops nothing, until an operator drops or retries some', async (t) => {
    const spool = openSpool(t, { maxRejects: 5 })
    await spool.append(events(30))
    let takesAll = false
    const draining = startDraining(
      spool,
      deliver((seq) => takesAll || seq % 2 === 0),
    )
    stopAfter(t, spool, draining)
    const { state } = draining.drain
    const stopped = () =>
      until('the sink to stop', () => state.reason?.includes('reached their limit') && state.reason)
    assert.match(await stopped(), /\(5 events or 16 MiB\).* retry or drop them$/)
    assert.deepEqual([spool.rejects.count(sinkName).count, spool.acked(sinkName)], [5, 10])
    assert.equal(spool.count, 20)
    spool.rejects.drop([1, 5])
    await until('the next five', () => spool.rejects.count(sinkName).count === 5)
    await stopped()
    assert.equal(spool.acked(sinkName), 20)
    takesAll = true
    for (const id of ids(spool)) spool.retryReject(id)
    await until('the spool to be empty', () => spool.count === 0)
    // What it had refused before it stopped is not asked again: it is a reject.
    const seqs = spool.rejects.list(10).map(({ seq }) => seq)
    assert.ok(seqs.every((seq) => seq > 20 && seq % 2 === 1) && seqs.length <= 5)
    assert.equal(state.reason, undefined)
  })

  test('has at most a quarter of the spool in bytes, and the one that passes it', async (t) => {
    const spool = openSpool(t, { maxBytes: 16 * mib })
    await spool.append(events(60, 200_000))
    const draining = startDraining(
      spool,
      deliver(() => false),
      { events: 10, bytes: 4 * mib },
    )
    stopAfter(t, spool, draining)
    await until('the sink to stop', () => draining.drain.state.reason?.includes('or 4 MiB'))
    const { count, bytes } = spool.rejects.count(sinkName)
    assert.ok(bytes >= 4 * mib && bytes < 4 * mib + 201_000, `${bytes}`)
    assert.equal(spool.count, 60 - count)
  })
})

describe('the rejects of a spool', () => {
  test('are counted without a look at the disk, right after every change and after a restart', async (t) => {
    const changes: [string, RejectChange, number][] = []
    const onReject = (...change: [string, RejectChange, number]) => void changes.push(change)
    const spool = openSpool(t, { onReject })
    await refuseAll(spool, 6)
    spool.retryReject(2)
    spool.rejects.drop([4, 5])
    const sizes = spool.rejects
      .list(10)
      .map(({ id }) => Buffer.byteLength(spool.rejects.get(id)?.body ?? ''))
    const expected = { count: 3, bytes: sizes.reduce((sum, size) => sum + size, 0) }
    assert.deepEqual(spool.rejects.count(sinkName), expected)
    spool.close()
    assert.deepEqual(spool.rejects.count(sinkName), expected)
    assert.deepEqual(openSpool(t, { dir: spool.dir }).rejects.count(sinkName), expected)
    assert.deepEqual(changes, [
      [sinkName, 'set_aside', 6],
      [sinkName, 'retried', 1],
      [sinkName, 'dropped', 2],
    ])
  })

  test('are dropped one by one or from one to another, and nothing else is', async (t) => {
    const spool = openSpool(t)
    await refuseAll(spool, 6)
    await spool.append(events(2))
    assert.equal(spool.rejects.drop([2, 2]), 1)
    assert.equal(spool.rejects.drop([2, 2]), 0)
    assert.equal(spool.rejects.drop([1, 4]), 3)
    assert.deepEqual(ids(spool), [6, 5])
    assert.equal(spool.peek(sinkName, 10, mib).length, 2)
  })

  test('have ids that are not given again: an operator drops what was shown', async (t) => {
    const spool = openSpool(t)
    await refuseAll(spool, 2)
    spool.rejects.drop([2, 2])
    await refuseAll(spool, 1)
    assert.deepEqual(ids(spool), [3, 1])
  })

  test('are set aside as they were sent: no refused event is read a second time', async (t) => {
    const spool = openSpool(t)
    await spool.append(events(3))
    const sent = spool.peek(sinkName, 3, mib)
    spool.ack(
      sinkName,
      3,
      sent.map((event, i) => ({ ...refuse(event), body: `${i}: ${event.body}`, bytes: 100 })),
    )
    const bodies = ids(spool).map((id) => spool.rejects.get(id)?.body)
    assert.deepEqual(
      bodies.reverse(),
      sent.map(({ body }, i) => `${i}: ${body}`),
    )
    assert.deepEqual(spool.rejects.count(sinkName), { count: 3, bytes: 300 })
  })

  test('that a commit did not bring are brought by the next, once, and move nothing before', async (t) => {
    const spool = openSpool(t)
    await spool.append(events(2))
    const { write } = spool.rejects
    let failures = 2
    spool.rejects.write = function () {
      write.call(this)
      // Also the second attempt, in the space of the ballast.
      if (failures-- > 0) throw Object.assign(new Error('planted'), { code: 'SQLITE_IOERR_WRITE' })
    }
    spool.ack(sinkName, 1, [refuse(spool.peek(sinkName, 1, mib)[0])])
    assert.throws(() => spool.flush(), /planted/)
    const onDisk = () => {
      const copy = freshFolder()
      cpSync(spool.dir, copy, { recursive: true })
      const again = openSpool(t, { dir: copy })
      return [again.acked(sinkName), again.rejects.count(sinkName).count]
    }
    assert.deepEqual(onDisk(), [0, 0])
    spool.recover(true)
    assert.deepEqual(onDisk(), [1, 1])
    assert.deepEqual([spool.acked(sinkName), ids(spool)], [1, [3]])
  })
})
