import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readManifest } from '../../src/archive/manifest.ts'
import { noteIntent, readIntent } from '../../src/store/archive/intent.ts'
import { ingest } from '../../src/store/ingest.ts'
import { MemoryDisk, MemoryPlace } from './memory-place.ts'
import { archived, closedDay, dayAt, eventAt, exported, leaseOf, run } from './support.ts'

test('a manifest that may be under way gives its name away before anything else is written', async (t) => {
  const { store } = await closedDay(t, [eventAt(0), eventAt(0, {}, 12)])
  const place = new MemoryPlace(new MemoryDisk())
  await archived(store, place)
  // An archiver was about to write the second manifest of the 13th, and was overtaken.
  await noteIntent(store, dayAt(), 2)
  await archived(store, place, dayAt(12))
  const seqOf = async (day: number, number: number) =>
    (await readManifest(place, dayAt(day), number))?.manifest.seq
  assert.deepEqual([await seqOf(13, 2), await seqOf(12, 1)], [2, 3])
  assert.equal(await readIntent(store, 'fab1'), undefined)
  assert.equal((await run(store, 'select from archive_manifest')).length, 3)

  // It arrives now, with late events: refused, and they are still to be archived.
  await ingest(store, [eventAt(50)])
  const late = exported(store, '', { place, number: 2, protect: leaseOf(store).protect })
  await assert.rejects(late, /00002.json exists with different content/)
  assert.equal((await run(store, 'select from event_late')).length, 1)

  // One that arrived before is taken up, whatever it was.
  await noteIntent(store, dayAt(), 3)
  await exported(store, '', { place })
  await archived(store, place, dayAt(12))
  assert.deepEqual([await seqOf(13, 3), await seqOf(12, 2)], [4, undefined])
  assert.equal((await run(store, 'select from event_late')).length, 0)
  assert.equal(await readIntent(store, 'fab1'), undefined)
})
