import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { ByteBudget, type Room } from '../../src/platform/byte-budget.ts'
import { Turns } from '../../src/platform/turns.ts'
import { runs } from '../support/wild.ts'

const budget = (waitMs = 60_000) => new ByteBudget({ total: 100, share: 50, waitMs })

/** What was let in so far, by name. */
function watch(rooms: Record<string, Promise<Room>>) {
  const entered: string[] = []
  for (const [name, room] of Object.entries(rooms)) void room.then(() => entered.push(name))
  return async () => {
    await new Promise(setImmediate)
    return entered.splice(0)
  }
}

describe('a budget of bytes', () => {
  test('lets in what fits, and the others in the order in which they came', async () => {
    const bytes = budget()
    const rooms = {
      a: bytes.take('a', 50),
      b: bytes.take('b', 40),
      c: bytes.take('c', 20),
      d: bytes.take('d', 5),
    }
    const entered = watch(rooms)
    assert.deepEqual(await entered(), ['a', 'b'])
    assert.deepEqual(bytes.state(), { used: 90, waiting: 2 })
    ;(await rooms.b).shrink(35)
    assert.deepEqual(await entered(), [])
    ;(await rooms.a).give()
    assert.deepEqual(await entered(), ['c', 'd'])
    for (const room of Object.values(rooms)) (await room).give()
    assert.deepEqual(bytes.state(), { used: 0, waiting: 0 })
  })

  test('never gives a caller more than its share while others want theirs', async () => {
    const bytes = budget()
    const rooms = {
      greedy1: bytes.take('greedy', 50),
      greedy2: bytes.take('greedy', 50),
      greedy3: bytes.take('greedy', 1),
      modest: bytes.take('modest', 50),
    }
    const entered = watch(rooms)
    assert.deepEqual(await entered(), ['greedy1', 'modest'])
    ;(await rooms.greedy1).give()
    assert.deepEqual(await entered(), ['greedy2'])
    ;(await rooms.greedy2).give()
    assert.deepEqual(await entered(), ['greedy3'])
  })

  test('lets in what is larger than all of it, alone', async () => {
    const bytes = budget()
    const rooms = { large: bytes.take('a', 500), small: bytes.take('b', 1) }
    const entered = watch(rooms)
    assert.deepEqual(await entered(), ['large'])
    ;(await rooms.large).give()
    assert.deepEqual(await entered(), ['small'])
  })

  test('refuses who waited too long, and forgets who went away', async () => {
    const bytes = budget(1)
    await bytes.take('a', 50)
    await assert.rejects(bytes.take('a', 10), { code: 'overloaded', retryAfterS: 5 })
    const gone = new AbortController()
    const patient = budget()
    await patient.take('a', 50)
    const waits = patient.take('a', 10, gone.signal)
    gone.abort()
    await assert.rejects(waits, { code: 'unreadable' })
    assert.deepEqual([bytes.state().waiting, patient.state().waiting], [0, 0])
  })

  test('comes out even, whoever takes and gives', async () => {
    const request = fc.record({
      caller: fc.constantFrom('a', 'b', 'c'),
      bytes: fc.nat({ max: 120 }),
    })
    await fc.assert(
      fc.asyncProperty(fc.array(request), async (requests) => {
        const bytes = budget()
        let most = 0
        const served = requests.map(async ({ caller, bytes: wanted }) => {
          const room = await bytes.take(caller, wanted)
          most = Math.max(most, bytes.state().used)
          await new Promise(setImmediate)
          room.shrink(wanted / 2)
          await new Promise(setImmediate)
          room.give()
          room.give()
        })
        await Promise.all(served)
        assert.deepEqual(bytes.state(), { used: 0, waiting: 0 })
        assert.ok(most <= 120, `${most} in use`)
      }),
      { numRuns: runs(200) },
    )
  })
})

describe('turns', () => {
  test('are one in each turn of the event loop, whoever asks', async () => {
    const turns = new Turns()
    let loops = 0
    let over = false
    const count = () => {
      loops++
      if (!over) setImmediate(count)
    }
    const inTurn: number[] = []
    const work = async () => {
      for (let i = 0; i < 4; i++) {
        await turns.next()
        inTurn.push(loops)
      }
    }
    setImmediate(count)
    await Promise.all(Array.from({ length: 5 }, work))
    over = true
    assert.equal(inTurn.length, 20)
    assert.equal(new Set(inTurn).size, 20, `turns ${inTurn.join(' ')}`)
  })
})
