import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import {
  noteOffset,
  type SenderClock,
  SenderClocks,
  skewLimitS,
  tellOffset,
} from '../../src/core/sender-clocks.ts'

type Receipt = [receivedS: number, offset: number]

const tellAfter = (receipts: readonly Receipt[]): number => {
  let clock: SenderClock | undefined
  for (const [at, offset] of receipts) clock = noteOffset(clock, at, offset)
  return tellOffset(clock!)
}
const every = (stepS: number, n: number, offset: (i: number) => number): Receipt[] =>
  Array.from({ length: n }, (_, i) => [i * stepS, offset(i)])

describe('the clock of a sender', () => {
  test('is off at once by a time ahead of its receipt', () => {
    assert.equal(tellAfter([[0, 300]]), 300)
  })

  test('is not off for one event that was 90 s late, nor for a backlog of them', () => {
    assert.equal(tellAfter([[0, -90]]), 0)
    assert.equal(tellAfter(every(0.01, 1000, () => -90)), 0)
    const live = every(30, 10, () => -1)
    assert.ok(tellAfter([...every(0.01, 100, () => -90), ...live]) >= -1)
  })

  test('is off when it is 20 min behind in all its events, however they are delayed', () => {
    const told = tellAfter(every(10, 60, (i) => -1200 - (i % 5)))
    assert.ok(told <= -1200 && told > -1201, String(told))
  })

  test('is off at once when it says the year 2000', () => {
    assert.ok(tellAfter([[0, -26 * 365 * 86_400]]) < -skewLimitS)
  })

  test('is off when one of many devices of an app says the year 2000, and right 10 min after it was set', () => {
    const mixed = every(1, 1200, (i) => (i % 2 === 0 ? -0.1 : -26 * 365 * 86_400))
    assert.ok(tellAfter(mixed) < -skewLimitS)
    const later = every(10, 30, () => -0.1).map(([at, by]): Receipt => [at + 1900, by])
    assert.ok(Math.abs(tellAfter([...mixed, ...later])) < 1)
  })

  test('is right again soon after it was set', () => {
    const wrong = every(10, 60, () => -1200)
    const right = every(10, 60, () => -0.2).map(([at, by]): Receipt => [at + 600, by])
    assert.ok(Math.abs(tellAfter([...wrong, ...right])) < 1)
  })

  test('is never off for delays alone, while any event of each minute is in time', () => {
    const delays = fc.array(fc.double({ min: 0, max: 86_400, noNaN: true }), {
      minLength: 1,
      maxLength: 200,
    })
    fc.assert(
      fc.property(delays, (late) => {
        const receipts = late.map((delay, i): Receipt => [i * 10, i % 3 === 0 ? -0.5 : -delay])
        assert.ok(Math.abs(tellAfter(receipts)) <= skewLimitS)
      }),
    )
  })

  test('is found however far it is behind, from ten minutes of events with delays of seconds', () => {
    const skew = fc.double({ min: skewLimitS + 10, max: 1e9, noNaN: true })
    fc.assert(
      fc.property(
        skew,
        fc.infiniteStream(fc.double({ min: 0, max: 5, noNaN: true })),
        (by, late) => {
          const told = tellAfter(every(5, 120, () => -by - (late.next().value as number)))
          assert.ok(told <= -by && told >= -by - 5, String(told))
        },
      ),
    )
  })
})

/** As over the database, by way of JSON. */
function exchange(...all: SenderClocks[]): void {
  const known = all.map((one) => JSON.parse(JSON.stringify(one.known('bn-07'))))
  for (const [i, one] of all.entries()) {
    one.learn(
      'bn-07',
      known.filter((_, n) => n !== i),
    )
  }
}

describe('the clocks behind a source', () => {
  test('have the worst one named, beside others that are right', () => {
    const clocks = new SenderClocks()
    for (let i = 0; i < 100; i++) {
      clocks.note('bn-07', 'etch', i * 5, -0.1)
      clocks.note('bn-07', 'litho', i * 5, -1200)
      clocks.note('bn-08', 'etch', i * 5, -0.1)
    }
    assert.deepEqual(clocks.worst('bn-07'), { offset: -1200, name: 'litho' })
    assert.ok(Math.abs(clocks.worst('bn-08').offset) < 1)
    assert.deepEqual(clocks.worst('bn-99'), { offset: 0, name: null })
  })

  test('are told the same by two processes, each of which received a part of the events', () => {
    const [a, b] = [new SenderClocks(), new SenderClocks()]
    for (let i = 0; i < 100; i++) {
      a.note('bn-07', 'litho', i * 5, -1200 - (i % 3))
      b.note('bn-07', 'etch', i * 5, -0.1)
    }
    exchange(a, b)
    assert.deepEqual(b.worst('bn-07'), { offset: -1200, name: 'litho' })
    assert.deepEqual(a.worst('bn-07'), b.worst('bn-07'))
    // Set right: the events after that all come to the other.
    for (let i = 100; i < 130; i++) b.note('bn-07', 'litho', i * 5, -0.2)
    exchange(a, b)
    for (const clocks of [a, b]) assert.ok(Math.abs(clocks.worst('bn-07').offset) < 1)
  })

  test('are not off for what one process received late, while another receives in time', () => {
    const share = fc.array(fc.tuple(fc.boolean(), fc.integer({ min: 0, max: 86_400 })), {
      minLength: 1,
      maxLength: 200,
    })
    fc.assert(
      fc.property(share, (late) => {
        const [a, b] = [new SenderClocks(), new SenderClocks()]
        for (const [i, [isOfA, delay]] of late.entries()) {
          ;(isOfA ? a : b).note('bn-07', 'etch', i * 10, -delay)
          b.note('bn-07', 'etch', i * 10, -0.5)
          exchange(a, b)
          assert.ok(Math.abs(a.worst('bn-07').offset) <= skewLimitS)
          assert.deepEqual(a.worst('bn-07'), b.worst('bn-07'))
        }
      }),
    )
  })

  test('are forgotten an hour after their last event, and bounded in number', () => {
    const clocks = new SenderClocks()
    clocks.note('bn-07', 'litho', 0, 300)
    clocks.note('bn-07', 'etch', 3601, -0.1)
    assert.equal(clocks.worst('bn-07').name, null)
    for (let i = 0; i < 3000; i++) clocks.note(`made-up-${i}`, 'etch', 0, 300)
    assert.equal(clocks.worst('made-up-0').name, null)
    assert.equal(clocks.worst('made-up-2999').name, 'etch')
  })
})
