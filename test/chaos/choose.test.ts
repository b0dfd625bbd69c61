import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { chooseFaults } from './choose.ts'
import type { Fault } from './faults.ts'

const run = async () => {}
const faults: Fault[] = [
  { name: 'sidecar killed', run },
  { name: 'disk is full', missing: 'mounting a small disk needs root', run },
]

describe('a chaos run', () => {
  test('leaves out what cannot be done here, and says why', () => {
    const { possible, missing } = chooseFaults(faults, undefined, false)
    assert.deepEqual([possible.length, missing.length], [1, 1])
    assert.match(missing[0]?.missing ?? '', /needs root/)
  })

  test('fails under CI when a fault is left out, and names it', () => {
    assert.throws(
      () => chooseFaults(faults, undefined, true),
      /disk is full \(mounting a small disk needs root\)/,
    )
    assert.equal(chooseFaults(faults, 'killed', true).possible.length, 1)
    assert.throws(() => chooseFaults(faults, 'disk', true), /none can be done here/)
  })
})
