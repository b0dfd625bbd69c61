import assert from 'node:assert/strict'
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, type TestContext, test } from 'node:test'
import type { Admitted } from '../../src/core/admission.ts'
import { readEvent } from '../../src/core/read-event.ts'
import { RecentCounts } from '../../src/platform/recent-counts.ts'
import { describeSpool } from '../../src/spool/report.ts'
import { isSourceId } from '../../src/spool/source-id.ts'
import { Spool } from '../../src/spool/spool.ts'
import { refuse } from '../support/draining.ts'
import { freshFolder } from '../support/processes.ts'

const options = { sinks: ['a'], maxBytes: 2 ** 26, ballastBytes: 4096 }
const open = (t: TestContext, dir = freshFolder()) => {
  const spool = new Spool({ ...options, dir })
  t.after(() => spool.close())
  return spool
}

const limits = { maxEventBytes: 65_536, maxSkewS: 300 }
const receivedAt = '2026-03-01T12:00:00.000000Z'
/** As every later hop reads it. */
const read = (text: string) => readEvent(JSON.parse(text), { receivedAt }, limits)

function anEvent(more: object = {}): Admitted {
  const found = read(
    JSON.stringify({
      idempotency_key: crypto.randomUUID(),
      site_id: 'fab1',
      app: { app_id: crypto.randomUUID(), name: 'etch' },
      entity: { type: 'job', id: crypto.randomUUID() },
      event: { kind: 'started', at: receivedAt, ...more },
    }),
  )
  assert.ok(found.ok)
  return found
}

const damages: [string, Buffer][] = [
  ['zeros', Buffer.alloc(20)],
  ['half a character', Buffer.from([0x62, 0x6e, 0xc3])],
  ['too long', Buffer.from('x'.repeat(129))],
  ['a control character', Buffer.from('bn\u0007-07')],
  ['nothing', Buffer.alloc(0)],
]

describe('a damaged source-id', () => {
  for (const [name, bytes] of damages) {
    test(`costs no event: ${name}`, async (t) => {
      const dir = freshFolder()
      writeFileSync(join(dir, 'source-id'), bytes)
      const spool = open(t, dir)
      await spool.append([anEvent()])
      const [event] = spool.peek('a', 1, 2 ** 20)
      assert.ok(read(event!.body).ok)
      assert.equal(readFileSync(join(dir, 'source-id'), 'utf8'), `${spool.source.id}\n`)
      if (bytes.length === 0) return
      assert.deepEqual(readFileSync(join(dir, 'source-id.damaged')), bytes)
      assert.match(spool.report.sourceIdChange?.why ?? '', /damaged/)
      assert.equal(describeSpool(spool, [], new RecentCounts()).status, 'degraded')
    })

    test(`is restored from the database: ${name}`, async (t) => {
      const first = open(t)
      await first.append([anEvent()])
      first.close()
      writeFileSync(join(first.dir, 'source-id'), bytes)
      const second = open(t, first.dir)
      assert.equal(second.source.id, first.source.id)
      assert.match(second.report.sourceIdChange?.why ?? '', /taken from spool\.db/)
      second.close()
      assert.equal(open(t, first.dir).report.sourceIdChange, undefined)
    })
  }

  test('is restored when it is missing, and is no news in a new folder', async (t) => {
    const first = open(t)
    assert.equal(first.report.sourceIdChange, undefined)
    await first.append([anEvent()])
    first.close()
    rmSync(join(first.dir, 'source-id'))
    const second = open(t, first.dir)
    assert.equal(second.source.id, first.source.id)
    assert.ok(existsSync(join(first.dir, 'source-id')))
  })

  test('is judged as the wire does', () => {
    for (const id of ['bn-07', 'x'.repeat(128), 'Ätzer 7', '𝒳'.repeat(128)])
      assert.ok(isSourceId(id), id)
    for (const id of ['', 'x'.repeat(129), 'a\0', 'a\ud800', 'a\ufffd', 7, undefined]) {
      assert.ok(!isSourceId(id), String(id))
    }
  })
})

describe('a reject that was refused for its stamp', () => {
  /** As the local API refuses it, in a sidecar whose id it does not take. */
  async function refused(t: TestContext, field: string) {
    const spool = open(t)
    await spool.append([anEvent({ metadata: { n: 1, source: { id: 'inner' } } })])
    const [before] = spool.peek('a', 1, 2 ** 20)
    spool.ack('a', 1, [refuse(before, { field })])
    spool.close()
    const again = open(t, spool.dir)
    assert.equal(again.retryReject(1), true)
    const [after] = again.rejects.due('a', 1, 2 ** 20)
    return { before: before!.body, after: after!.event.body, again }
  }
  const withoutStamp = (body: string) => body.slice(0, body.lastIndexOf(',"source":'))

  test('is stamped anew by a retry, and else stays as it came', async (t) => {
    const { before, after, again } = await refused(t, 'source.id')
    assert.equal(withoutStamp(after), withoutStamp(before))
    assert.deepEqual(JSON.parse(after).source, { ...again.source, seq: 1 })
    assert.deepEqual(await again.append([anEvent()]), ['stored'])
    assert.equal(JSON.parse(again.peek('a', 2, 2 ** 20)[0]!.body).source.seq, 2)
  })

  test('keeps its stamp when it was refused for something else', async (t) => {
    const { before, after } = await refused(t, 'event.metadata.source')
    assert.equal(after, before)
  })
})
