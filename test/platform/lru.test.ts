import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { Lru } from '../../src/platform/lru.ts'

describe('a map with a limit', () => {
  test('drops the entry that was unused for longest', () => {
    const lru = new Lru<string, number>(2)
    lru.set('a', 1)
    lru.set('b', 2)
    assert.equal(lru.get('a'), 1)
    lru.set('c', 3)
    assert.deepEqual([lru.get('a'), lru.get('b'), lru.get('c'), lru.size], [1, undefined, 3, 2])
  })

  test('agrees with a list that is kept in the order of use', () => {
    const step = fc.record({ key: fc.integer({ min: 0, max: 9 }), write: fc.boolean() })
    fc.assert(
      fc.property(fc.array(step), fc.integer({ min: 1, max: 5 }), (steps, max) => {
        const lru = new Lru<number, number>(max)
        let list: [number, number][] = []
        for (const [i, { key, write }] of steps.entries()) {
          const known = list.find(([own]) => own === key)
          if (!write) assert.equal(lru.get(key), known?.[1])
          else lru.set(key, i)
          const entry: [number, number] | undefined = write ? [key, i] : known
          if (entry) list = [...list.filter(([own]) => own !== key), entry].slice(-max)
          assert.equal(lru.size, list.length)
        }
      }),
    )
  })
})
