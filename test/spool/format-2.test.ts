import assert from 'node:assert/strict'
import { cpSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, type TestContext, test } from 'node:test'
import { gunzipSync } from 'node:zlib'
import Database from 'better-sqlite3'
import type { Outgoing } from '../../src/core/delivery.ts'
import { Spool } from '../../src/spool/spool.ts'
import { startDrainingTo } from '../support/draining.ts'
import { freshFolder, until } from '../support/processes.ts'

/*
 * format-2/ has the files that a sidecar of the format before this one left when it was killed: 100 events for
 * the sinks local-api, which acknowledged 33 of them and refused the events 5 and 17, and mirror, which acknowledged 15.
 */

const source = new URL('format-2/', import.meta.url)

function written(): string {
  const dir = freshFolder()
  for (const name of readdirSync(source)) {
    const bytes = gunzipSync(readFileSync(new URL(name, source)))
    writeFileSync(join(dir, name.replace('.gz', '')), bytes)
  }
  return dir
}

const sinks = ['local-api', 'mirror']
const mib = 2 ** 20

function open(t: TestContext, dir = written(), more: { sinks?: string[] } = {}): Spool {
  const spool = new Spool({ dir, sinks, maxBytes: 64 * mib, ballastBytes: 4096, ...more })
  t.after(() => spool.close())
  return spool
}

type Sent = { n: number; source: { id: string; epoch: string; seq: number } }
const toSent = ({ body }: Outgoing) => JSON.parse(body) as Sent
const owed = (spool: Spool, sink: string) => spool.peek(sink, 1000, mib).map(toSent)
const range = (from: number, to: number) =>
  Array.from({ length: to - from + 1 }, (_, i) => from + i)

describe('a spool of format 2', () => {
  test('is taken over in place with its positions, stamps and rejects', (t) => {
    const spool = open(t)
    assert.deepEqual([spool.report.damaged, spool.guard.behind], [undefined, undefined])
    const local = owed(spool, 'local-api')
    assert.deepEqual(
      local.map(({ n }) => n),
      range(34, 100),
    )
    assert.deepEqual(
      owed(spool, 'mirror').map(({ n }) => n),
      range(16, 100),
    )
    // One opening gave them all their numbers.
    assert.equal(new Set(local.map((one) => `${one.source.id} ${one.source.epoch}`)).size, 1)
    assert.ok(
      local.every((one) => one.source.seq === one.n && one.source.epoch !== spool.source.epoch),
    )
    const rejects = spool.rejects.list(9).map(({ seq, detail }) => ({ seq, detail }))
    assert.deepEqual(rejects, [
      { seq: 17, detail: 'seventeen' },
      { seq: 5, detail: 'five' },
    ])
    for (const account of spool.accounts.list()) {
      const { accepted, delivered, filtered, rejected, skipped, lag } = account
      assert.equal(accepted, delivered + filtered + rejected + skipped + lag)
      assert.ok(account.lagBytes > 0)
    }
  })

  test('is delivered whole, each event once to each sink, with what came since', async (t) => {
    const spool = open(t)
    const { admitted } = await import('../support/admitted.ts')
    await spool.append([101, 102].map((n) => admitted({ json: JSON.stringify({ n }) })))
    for (const [sink, first] of [
      ['local-api', 34],
      ['mirror', 16],
    ] as const) {
      const got: number[] = []
      const draining = startDrainingTo(spool, sink, async (batch) => {
        got.push(...batch.map((event) => toSent(event).n))
        return { kind: 'judged', verdicts: batch.map(() => 'taken') }
      })
      await until('it to be up to date', () => spool.lag(sink) === 0)
      await draining.stop()
      assert.deepEqual(
        got.sort((a, b) => a - b),
        range(first, 102),
      )
    }
    spool.retryReject(1)
    const { delivered, rejected, accepted } = spool.accounts.get('local-api')
    assert.deepEqual([delivered, rejected, accepted], [69, 0, 69])
  })

  test('knows the keys of what it had taken', async (t) => {
    const { admitted } = await import('../support/admitted.ts')
    const key = '0193581e-7c42-7d10-9a35-000000000060'
    assert.deepEqual(await open(t).append([admitted({ key })]), ['duplicate'])
  })

  test('keeps the events of a sink that is not configured any more', async (t) => {
    const spool = open(t, written(), { sinks: ['local-api'] })
    spool.ack('local-api', 100)
    spool.flush()
    assert.equal(spool.accounts.get('mirror').detached, true)
    assert.equal(owed(spool, 'mirror').length, 85)
  })

  test('is as it was when taking it over fails in the middle, and is taken over by the next start', (t) => {
    const dir = written()
    // A table in the way of one that the new format has.
    const db = new Database(join(dir, 'spool.db'))
    db.exec('create table gap (x)')
    db.close()
    const copy = freshFolder()
    cpSync(dir, copy, { recursive: true })
    const spool = open(t, dir)
    // It is no sound spool: then it is set aside, and its events are carried over.
    assert.equal(spool.report.damaged?.salvaged, 85)
    const same = new Database(join(copy, 'spool.db'))
    assert.equal(same.prepare('select format from meta').pluck().get(), 2)
    same.exec('drop table gap')
    same.close()
    assert.equal(open(t, copy).count, 85)
  })
})
