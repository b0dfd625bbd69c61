import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Event } from '../../src/core/event.ts'
import { fromMs } from '../../src/core/time.ts'
import { ingest } from '../../src/store/ingest.ts'
import { toRanges } from '../../src/store/rollups/narrow.ts'
import { storeReader } from '../../src/store/store-reader.ts'
import { openRollups } from '../support/rollups.ts'
import { anEvent, openStore } from '../support/store.ts'

/* Lists leave out the hours that cannot have a job of them. */

const { signal } = new AbortController()
const hourMs = 3_600_000
const endMs = Date.now() + 60_000
const at = (hours: number) => fromMs(endMs - hours * hourMs)
const from = at(168)
const to = at(0)

test('a search finds what a job says later, before and after its hour is made again', async (t) => {
  const { store, url } = await openStore(t, 'plain')
  const { make } = await openRollups(t, url)
  const reader = storeReader(store)
  const entity = { id: 'b1000000-0000-4000-8000-000000000001', type: 'job' } as const
  const said: [text: string, event: Event['event'], more?: object][] = [
    ['first-recipe', { kind: 'started', at: at(9), metadata: { recipe: 'first-recipe' } }],
    ['Second-Recipe', { kind: 'progress', at: at(8), metadata: { recipe: 'Second-Recipe' } }],
    // Without a recipe it is that of the start again.
    ['first-recipe', { kind: 'progress', at: at(7), metadata: { step: 3 } }],
    ['lot-77', { kind: 'progress', at: at(6.9) }, { business_key: 'lot-77' }],
    ['W-07', { kind: 'progress', at: at(6.8) }, { sub_key: 'W-07' }],
    ['pump is hot', { kind: 'error', at: at(6.7), metadata: { error: 'pump is hot' } }],
    ['host-9', { kind: 'finished', at: at(6), metadata: { host: 'host-9' } }],
    ['third-tool', { kind: 'progress', at: at(5.9), metadata: { tool: 'third-tool' } }],
  ]
  for (const [text, event, more] of said) {
    await ingest(store, [anEvent(event.at, event, { entity: { ...entity, ...more } })])
    for (const round of ['before', 'after']) {
      const list = { time: 'started', order: 'desc', limit: 10, from, to, q: text } as const
      const { items } = await reader.findJobs(list, signal)
      assert.equal(items.length, 1, `${text} ${round}`)
      await make()
    }
  }
})

test('hours are joined to few ranges over the shortest gaps', () => {
  const hours = Array.from({ length: 40 }, (_, i) => fromMs((i * i + i) * hourMs))
  const ranges = toRanges(hours, 'asc')
  assert.ok(ranges.length <= 17)
  assert.ok(hours.every((hour) => ranges.some((range) => range.from <= hour && hour < range.to)))
  assert.deepEqual(toRanges(hours, 'desc'), [...ranges].reverse())
  assert.deepEqual(toRanges([], 'asc'), [])
})
