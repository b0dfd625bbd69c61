import assert from 'node:assert/strict'
import { cpSync } from 'node:fs'
import { describe, type TestContext, test } from 'node:test'
import { Spool } from '../../src/spool/spool.ts'
import type { SpoolOptions } from '../../src/spool/spool-options.ts'
import { admitted } from '../support/admitted.ts'
import { freshFolder } from '../support/processes.ts'

function openSpool(t: TestContext, more: Partial<SpoolOptions> = {}): Spool {
  const options = { dir: freshFolder(), sinks: ['a'], maxBytes: 2 ** 26, ballastBytes: 4096 }
  const spool = new Spool({ ...options, ...more })
  t.after(() => spool.close())
  return spool
}

const items = (n: number) => Array.from({ length: n }, () => admitted())

describe('the next spool in the same folder', () => {
  test('has an event that was answered, if the one before died at that moment', async (t) => {
    const spool = openSpool(t)
    const asIs = freshFolder()
    await spool.append(items(1))
    // The files that a process killed right now would leave.
    cpSync(spool.dir, asIs, { recursive: true })
    assert.equal(openSpool(t, { dir: asIs }).count, 1)
  })

  test('continues at the position of each sink', async (t) => {
    const options = { dir: freshFolder(), sinks: ['a', 'b'] }
    const spool = openSpool(t, options)
    await spool.append(items(4))
    spool.ack('a', 3)
    spool.ack('b', 1)
    spool.close()
    const again = openSpool(t, options)
    const left = (sink: string) => again.peek(sink, 10, 1000).map(({ seq }) => seq)
    assert.deepEqual([left('a'), left('b')], [[4], [2, 3, 4]])
    assert.equal(again.report.recovered, 3)
  })
})
