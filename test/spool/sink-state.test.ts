import assert from 'node:assert/strict'
import { cpSync } from 'node:fs'
import { describe, type TestContext, test } from 'node:test'
import type { Delivery } from '../../src/core/delivery.ts'
import { Spool } from '../../src/spool/spool.ts'
import { sinkName, startDrainingTo, stopAfter, toAppend } from '../support/draining.ts'
import { freshFolder, until } from '../support/processes.ts'

const odd = { field: 'event.at', detail: 'odd' }
const events = (n: number) => Array.from({ length: n }, (_, i) => toAppend({ n: i }))

function open(t: TestContext, dir = freshFolder(), maxRejects = 10): Spool {
  const spool = new Spool({
    ...{ dir, maxRejects, sinks: [sinkName], maxBytes: 2 ** 26, ballastBytes: 4096 },
  })
  t.after(() => spool.close())
  return spool
}

/** What a process that is killed now leaves: where the sink is, what it said last, and its rejects. */
function readAfterKill(t: TestContext, { dir }: Spool) {
  const copy = freshFolder()
  cpSync(dir, copy, { recursive: true })
  const spool = open(t, copy)
  const { list } = spool.rejects
  return {
    acked: spool.acked(sinkName),
    state: spool.accounts.state(sinkName),
    rejects: list.call(spool.rejects, 10).length,
  }
}

/** A drain towards a sink that keeps a state: how many batches it has answered. */
function drain(t: TestContext, spool: Spool, verdictsOn: (seqs: number[]) => Delivery) {
  let answers = 0
  const deliver = async (batch: readonly { seq: number }[]) => {
    const answer = verdictsOn(batch.map(({ seq }) => seq))
    return answer.kind === 'judged' ? { ...answer, state: `${++answers}` } : answer
  }
  const draining = startDrainingTo(spool, sinkName, deliver, { keepsState: true })
  stopAfter(t, spool, draining)
  return draining.drain
}

describe('the state of a sink', () => {
  test('is on disk with the first commit that has not the reject any more that it covers', async (t) => {
    const spool = open(t)
    await spool.append(events(1))
    let refuses = true
    drain(t, spool, (seqs) => ({
      kind: 'judged',
      verdicts: seqs.map(() => (refuses ? odd : 'taken')),
    }))
    await until('the reject', () => spool.rejects.list(1).length === 1)
    refuses = false
    let left: ReturnType<typeof readAfterKill> | undefined
    const settle = spool.rejects.settleRetried.bind(spool.rejects)
    spool.rejects.settleRetried = (sink, settled) => {
      settle(sink, settled)
      left = readAfterKill(t, spool)
    }
    spool.retryReject(spool.rejects.list(1)[0]!.id)
    await until('the reject to be taken', () => left)
    assert.deepEqual(left, { acked: 1, state: '2', rejects: 0 })
  })

  test('is not on disk with a part of its batch, when there is no room for the rejects of the rest', async (t) => {
    const spool = open(t, undefined, 2)
    await spool.append(events(1))
    const { state } = drain(t, spool, (seqs) => ({
      kind: 'judged',
      verdicts: seqs.map((seq) => (seq === 2 || seq === 5 ? 'taken' : odd)),
    }))
    await until('the first reject', () => spool.rejects.list(1).length === 1)
    spool.flush()
    await spool.append(events(4))
    await until('the sink to stop', () => state.reason?.includes('reached their limit'))
    spool.flush()
    assert.deepEqual(readAfterKill(t, spool), { acked: 1, state: '1', rejects: 1 })
    spool.rejects.drop([1, 1])
    await until('the rest', () => spool.count === 0)
    spool.flush()
    assert.deepEqual(readAfterKill(t, spool), { acked: 5, state: '2', rejects: 2 })
  })
})

test('events that are skipped while new ones are too large together do not look damaged', async (t) => {
  const before = open(t)
  await before.append(events(10))
  before.accounts.openLive(sinkName)
  await before.append(events(5))
  before.close()
  const spool = open(t, before.dir)
  const offered: number[] = []
  const deliver = async (batch: readonly { seq: number }[]): Promise<Delivery> => {
    if (offered.length === 0 && batch.length > 1) {
      spool.accounts.skip(sinkName, 'not wanted', 5)
      offered.push(0)
      return { kind: 'too_large' }
    }
    offered.push(...batch.map(({ seq }) => seq))
    return { kind: 'judged', verdicts: batch.map(() => 'taken') }
  }
  stopAfter(t, spool, startDrainingTo(spool, sinkName, deliver, { ordered: false }))
  await until('the rest, or damage', () => spool.count === 0 || spool.guard.isUnsound)
  assert.equal(spool.guard.trouble, undefined)
  assert.deepEqual(
    offered.sort((a, b) => a - b),
    [0, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15],
  )
})
