import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { pino } from 'pino'
import { Lifecycle } from '../../src/platform/lifecycle.ts'

const quiet = () => new Lifecycle(pino({ level: 'silent' }))

describe('a role that stops', () => {
  test('closes in the reverse of the order of opening, whatever one of them throws', async () => {
    const life = quiet()
    const closed: string[] = []
    for (const name of ['first', 'second', 'third']) {
      life.onStop(name, () => {
        closed.push(name)
        if (name === 'second') throw new Error(name)
      })
    }
    const { exitCode } = process
    await life.stop(5)
    assert.deepEqual(closed, ['third', 'second', 'first'])
    assert.equal(process.exitCode, 1)
    process.exitCode = exitCode
  })

  test('closes at once what is opened while it stops: nothing of it may stay', async () => {
    const life = quiet()
    await life.stop(5)
    const closed: string[] = []
    life.onStop('late', () => closed.push('late'))
    assert.deepEqual(closed, ['late'])
  })
})
