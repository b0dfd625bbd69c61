import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { describe, test } from 'node:test'
import { collect, textChunks } from '../../src/archive/places/content.ts'
import type { ByteRange, Place } from '../../src/archive/places/place.ts'
import { AppError, type ErrorCode } from '../../src/core/errors.ts'
import { ContractError } from '../../src/core/must.ts'

/* The guarantees of src/archive/places/place.ts, for every kind of place. */

/** One empty place, as its tests need it. */
export type Stand = {
  /** Opens it, as one more process would. */
  open(): Place
  /** Damages it: the bytes of a name end early. */
  cut(name: string, bytes: number): void | Promise<void>
  /** A place of this kind that cannot be used. */
  unusable(): Place
}

export const name = 'event/site=fab1/dt=2026-03-01/hour=13/a.parquet'
const label = 'site=fab1/event-0.parquet'

/** Stages a text and gives it a name. */
export async function put(place: Place, to: string, text: string): Promise<void> {
  await place.putOnce(to, await place.stage(label, textChunks(text)))
}

/** The text of a name; undefined when there is none. */
export async function get(place: Place, from: string, range?: ByteRange) {
  const content = await place.read(from)
  return content && String(await collect(content.chunks(range)))
}

export async function listed(place: Place, prefix = ''): Promise<string[]> {
  const names: string[] = []
  for await (const each of place.list(prefix)) names.push(each)
  return names
}

export const hasCode = (code: ErrorCode, message?: RegExp) => (error: unknown) =>
  error instanceof AppError && error.code === code && (message?.test(error.message) ?? true)

const outside = [
  '',
  '/',
  '/etc/passwd',
  '../x',
  'a/../../x',
  '..',
  '.',
  'a/.',
  'a//b',
  'a/',
  'a\0b',
]
const reserved = ['_tmp', '_tmp/x']

export function testPlace(kind: string, stand: () => Stand): void {
  describe(`${kind}: a name`, () => {
    test('has the bytes that were staged, in every process', async () => {
      const { open } = stand()
      await put(open(), name, 'Lé😀')
      assert.equal(await get(open(), name), 'Lé😀')
      assert.deepEqual(await open().stat(name), { bytes: 7 })
    })

    test('can have no bytes at all', async () => {
      const place = stand().open()
      await put(place, name, '')
      assert.deepEqual(await place.stat(name), { bytes: 0 })
      assert.equal(await get(place, name), '')
    })

    test('is given once: other bytes are refused, and the first stay', async () => {
      const { open } = stand()
      await put(open(), name, 'first')
      await assert.rejects(
        put(open(), name, 'other'),
        hasCode('conflict', /different content; move/),
      )
      assert.equal(await get(open(), name), 'first')
    })

    test('is given again to the same bytes, as a crash may have left them', async () => {
      const { open } = stand()
      await put(open(), name, 'first')
      await put(open(), name, 'first')
      assert.equal(await get(open(), name), 'first')
    })

    test('is given to one of two that put it at the same time', async () => {
      const { open } = stand()
      const texts = ['one', 'two', 'three', 'four']
      const results = await Promise.allSettled(texts.map((text) => put(open(), name, text)))
      const won = texts.filter((_, i) => results[i]?.status === 'fulfilled')
      assert.equal(won.length, 1)
      assert.equal(await get(open(), name), won[0])
    })

    test('is free again once it is removed, and can be removed twice', async () => {
      const place = stand().open()
      await put(place, name, 'first')
      await place.remove(name)
      await place.remove(name)
      assert.equal(await get(place, name), undefined)
      await put(place, name, 'other')
      assert.equal(await get(place, name), 'other')
    })

    test('that is not there is undefined, not an error', async () => {
      const place = stand().open()
      assert.equal(await place.read(name), undefined)
      assert.equal(await place.stat(name), undefined)
      assert.equal(await place.stat('event'), undefined)
    })

    for (const wrong of [...outside, ...reserved]) {
      test(`that leaves the archive is refused: ${JSON.stringify(wrong)}`, async () => {
        const place = stand().open()
        const staged = await place.stage(label, textChunks('x'))
        const attempts: Record<string, () => unknown> = {
          putOnce: () => place.putOnce(wrong, staged),
          stage: () => place.stage(wrong, textChunks('x')),
          clearStaged: () => place.clearStaged(wrong),
          read: () => place.read(wrong),
          stat: () => place.stat(wrong),
          list: () => wrong === '' || listed(place, wrong),
          remove: () => place.remove(wrong),
        }
        for (const [operation, attempt] of Object.entries(attempts)) {
          if (operation === 'list' && wrong === '') continue
          const trying = (async () => attempt())()
          await assert.rejects(
            trying,
            hasCode('invalid', /is not a valid name in the archive/),
            operation,
          )
        }
        assert.deepEqual(await listed(place), [])
      })
    }
  })

  describe(`${kind}: what is staged`, () => {
    test('has no name, is in no listing, and reads back', async () => {
      const place = stand().open()
      const staged = await place.stage(label, textChunks('0123456789'))
      const sha256 = createHash('sha256').update('0123456789').digest('hex')
      assert.deepEqual([staged.bytes, staged.sha256], [10, sha256])
      assert.equal(String(await collect(staged.chunks())), '0123456789')
      assert.equal(String(await collect(staged.chunks({ from: 3, to: 5 }))), '34')
      assert.deepEqual(await listed(place), [])
      assert.equal(await place.stat(label), undefined)
    })

    test('is not visible while its bytes are still coming', async () => {
      const { open } = stand()
      const place = open()
      let seen: string[] = ['nothing was listed']
      const chunks = async function* () {
        yield Buffer.from('first ')
        seen = await listed(open())
        yield Buffer.from('second')
      }
      await place.putOnce(name, await place.stage(label, chunks()))
      assert.deepEqual(seen, [])
      assert.equal(await get(place, name), 'first second')
    })

    test('is nothing when its bytes end with an error', async () => {
      const place = stand().open()
      const chunks = async function* () {
        yield Buffer.from('first')
        throw new Error('connection lost')
      }
      await assert.rejects(place.stage(label, chunks()), /connection lost/)
      assert.deepEqual(await listed(place), [])
    })

    test('is put once, and only where it was staged', async () => {
      const { open } = stand()
      const place = open()
      const staged = await place.stage(label, textChunks('x'))
      await assert.rejects(open().putOnce(name, staged), ContractError)
      await place.putOnce(name, staged)
      await assert.rejects(place.putOnce('event/b', staged), ContractError)
      assert.deepEqual(await listed(place), [name])
    })

    test('keeps apart what has the same label', async () => {
      const place = stand().open()
      const [one, two] = await Promise.all(
        ['one', 'two'].map((text) => place.stage(label, textChunks(text))),
      )
      assert.ok(one && two)
      await place.putOnce('event/1', one)
      await place.putOnce('event/2', two)
      assert.deepEqual([await get(place, 'event/1'), await get(place, 'event/2')], ['one', 'two'])
    })

    test('cannot be put once another archiver has cleared it', async () => {
      const { open } = stand()
      const asleep = open()
      const staged = await asleep.stage(label, textChunks('old'))
      await open().clearStaged('site=fab1')
      await assert.rejects(asleep.putOnce(name, staged), hasCode('unavailable', /archiver removed/))
      assert.deepEqual(await listed(asleep), [])
    })

    test('stays when other labels are cleared, and so does what has its name', async () => {
      const { open } = stand()
      const place = open()
      await put(place, name, 'named')
      const staged = await place.stage('site=fab10/event-0.parquet', textChunks('other site'))
      await open().clearStaged('site=fab1')
      await open().clearStaged('site=fab1')
      await place.putOnce('event/b', staged)
      assert.deepEqual(await listed(place), ['event/b', name])
    })
  })

  describe(`${kind}: a listing`, () => {
    test('has what was put and not what was removed, in every process', async () => {
      const { open } = stand()
      await put(open(), name, 'x')
      assert.deepEqual(await listed(open()), [name])
      await open().remove(name)
      assert.deepEqual(await listed(open()), [])
    })

    test('has all names below its prefix and no other, in the order of their bytes', async () => {
      const place = stand().open()
      const names = ['a/b/c', 'a/b-c', 'a/b.c/d', 'a-b/c', 'ab/c', 'a/B', 'a/é', 'a/😀', 'a/ﬀ']
      for (const each of names) await put(place, each, each)
      const inOrder = names
        .map((each) => Buffer.from(each))
        .sort(Buffer.compare)
        .map(String)
      assert.deepEqual(await listed(place), inOrder)
      const below = inOrder.filter((each) => each.startsWith('a/'))
      assert.deepEqual(await listed(place, 'a'), below)
      assert.deepEqual(await listed(place, 'a/b'), ['a/b/c'])
      assert.deepEqual(await listed(place, 'elsewhere'), [])
    })

    test('can be left early', async () => {
      const place = stand().open()
      for (const each of ['a/1', 'a/2', 'b/1']) await put(place, each, each)
      for await (const first of place.list('')) {
        assert.equal(first, 'a/1')
        break
      }
    })
  })

  describe(`${kind}: reading`, () => {
    test('gives any range, and refuses one that is outside', async () => {
      const place = stand().open()
      await put(place, name, '0123456789')
      assert.equal(await get(place, name, { from: 0, to: 10 }), '0123456789')
      assert.equal(await get(place, name, { from: 9, to: 10 }), '9')
      assert.equal(await get(place, name, { from: 4, to: 4 }), '')
      for (const [from, to] of [
        [-1, 3],
        [5, 4],
        [0, 11],
      ] as const) {
        await assert.rejects(get(place, name, { from, to }), ContractError)
      }
    })

    test('gives the same bytes each time, also after the name is opened again', async () => {
      const place = stand().open()
      await put(place, name, 'again')
      const content = await place.read(name)
      assert.ok(content)
      for (let i = 0; i < 2; i++) assert.equal(String(await collect(content.chunks())), 'again')
    })

    test('of a torn file fails instead of ending early', async () => {
      const { open, cut } = stand()
      await put(open(), name, '0123456789')
      const content = await open().read(name)
      assert.ok(content)
      await cut(name, 6)
      assert.deepEqual(await open().stat(name), { bytes: 6 })
      await assert.rejects(collect(content.chunks()), /ends .*before/)
      assert.equal(await get(open(), name), '012345')
    })
  })

  describe(`${kind}: the check`, () => {
    test('passes for a place that can be used, and leaves nothing in it', async () => {
      const place = stand().open()
      await place.check('write')
      await place.check('read')
      assert.deepEqual(await listed(place), [])
    })

    test('names the setting and the fault of a place that cannot be used', async () => {
      const place = stand().unusable()
      for (const use of ['read', 'write'] as const) {
        const naming = new RegExp(`^${place.setting}: .*${place.address}`)
        await assert.rejects(place.check(use), hasCode('unavailable', naming))
      }
    })
  })
}
