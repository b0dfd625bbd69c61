import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { constants, gzipSync, zstdCompressSync } from 'node:zlib'
import fc from 'fast-check'
import { toPacked } from '../../src/platform/unpack.ts'
import { runs } from '../support/wild.ts'

const maxBytes = 100_000

const unpack = async (raw: Buffer, encoding: string) =>
  (await toPacked(raw, encoding, maxBytes).unpack(maxBytes))?.toString()

const gzip = (text: string) => gzipSync(text)
const zstd = (text: string, params = {}) => zstdCompressSync(text, { params })
const checked = (text: string) => zstd(text, { [constants.ZSTD_c_checksumFlag]: 1 })
const skippable = (size: number, digit = 0) => {
  const head = Buffer.alloc(8)
  head.writeUInt32LE(0x184d2a50 + digit)
  head.writeUInt32LE(size, 4)
  return Buffer.concat([head, Buffer.alloc(size, 0x28)])
}
const frameOf = (...bytes: number[]) => Buffer.from([0x28, 0xb5, 0x2f, 0xfd, ...bytes])
const zeros = Buffer.alloc(5)
const junk = Buffer.from('junk')

describe('a body of several parts', () => {
  const read: [string, string, Buffer[]][] = [
    ['members of gzip', 'gzip', [gzip('a'), gzip('b'), gzip('c')]],
    ['gzip with zeros at its end', 'gzip', [gzip('abc'), zeros]],
    ['frames of zstd', 'zstd', [zstd('a'), checked('b'), zstd('c')]],
    ['frames without content', 'zstd', [zstd(''), zstd('abc'), zstd('')]],
    ['frames to be skipped', 'zstd', [skippable(3), zstd('ab'), skippable(0, 15), zstd('c')]],
    ['a frame to be skipped at the end', 'zstd', [zstd('abc'), skippable(9, 7)]],
  ]
  for (const [what, encoding, parts] of read) {
    test(`is read to its end: ${what}`, async () => {
      assert.equal(await unpack(Buffer.concat(parts), encoding), 'abc')
    })
  }

  const refused: [string, string, Buffer[], RegExp][] = [
    [
      'a member after zeros',
      'gzip',
      [gzip('a'), zeros, gzip('b')],
      /more after the gzip that ends/,
    ],
    ['more after gzip', 'gzip', [gzip('a'), junk], /is not gzip/],
    ['more after zeros', 'gzip', [gzip('a'), zeros, junk], /more after the gzip that ends/],
    ['a member that is cut off', 'gzip', [gzip('a'), gzip('b').subarray(0, 15)], /is not gzip/],
    ['a member that begins', 'gzip', [gzip('a'), gzip('b').subarray(0, 1)], /is not gzip/],
    ['nothing, as gzip', 'gzip', [], /is not gzip/],
    ['nothing, as zstd', 'zstd', [], /no frame of zstd with content/],
    ['only frames to be skipped', 'zstd', [skippable(4)], /no frame of zstd with content/],
    ['more after zstd', 'zstd', [zstd('a'), junk], /other than zstd at byte \d+; remove it/],
    ['zeros after zstd', 'zstd', [zstd('a'), zeros], /other than zstd at byte \d+; remove it/],
    ['more before zstd', 'zstd', [junk, zstd('a')], /is not zstd/],
    ['a frame that is cut off', 'zstd', [zstd('a'), zstd('b').subarray(0, -1)], /is cut off/],
    ['a checksum that is cut off', 'zstd', [checked('b').subarray(0, -1)], /is cut off/],
    ['a frame that begins', 'zstd', [zstd('a'), zstd('b').subarray(0, 3)], /is cut off/],
    [
      'a frame to be skipped, cut off',
      'zstd',
      [zstd('a'), skippable(9).subarray(0, 12)],
      /cut off/,
    ],
    ['a frame of a reserved kind', 'zstd', [frameOf(0x28, 1, 1, 0, 0)], /is not zstd/],
    ['a block of a reserved kind', 'zstd', [frameOf(0x20, 1, 0b111, 0, 0)], /other than zstd/],
    ['a damaged block', 'zstd', [frameOf(0x20, 9, 0b1101, 0, 0, 255)], /is not zstd/],
    ['a dictionary', 'zstd', [frameOf(0x21, 7, 1, 1, 0, 0)], /needs a zstd dictionary/],
    ['a window of 2 GiB', 'zstd', [frameOf(0, 21 << 3, 1, 0, 0)], /window over 8388608 bytes/],
    ['more frames than anybody makes', 'zstd', Array(1001).fill(zstd('')), /over 1000 frames/],
  ]
  for (const [what, encoding, parts, detail] of refused) {
    test(`is refused whole: ${what}`, async () => {
      await assert.rejects(async () => unpack(Buffer.concat(parts), encoding), {
        code: 'unreadable',
        field: 'content-encoding',
        message: detail,
      })
    })
  }

  test('is as large as all of them together', async () => {
    const half = 'x'.repeat(maxBytes / 2)
    for (const [encoding, pack] of [['gzip', gzip] as const, ['zstd', zstd] as const]) {
      const two = [pack(half), pack(half)]
      assert.equal((await unpack(Buffer.concat(two), encoding))?.length, maxBytes)
      assert.equal(await unpack(Buffer.concat([...two, pack('x')]), encoding), undefined)
    }
    const large = zstd('x'.repeat(maxBytes + 1))
    assert.throws(() => toPacked(large, 'zstd', maxBytes), { code: 'too_large' })
  })

  test('is read whole or refused, however it is made and wherever it is cut', async () => {
    const part = fc.oneof(
      fc.string().map((text) => ({ text, bytes: zstd(text) })),
      fc.string({ size: 'large' }).map((text) => ({ text, bytes: checked(text) })),
      fc.nat({ max: 20 }).map((size) => ({ text: '', bytes: skippable(size) })),
    )
    await fc.assert(
      fc.asyncProperty(fc.array(part, { minLength: 1 }), fc.nat(), async (parts, cut) => {
        const raw = Buffer.concat(parts.map(({ bytes }) => bytes))
        const whole = parts.map(({ text }) => text).join('')
        const hasContent = parts.some(({ bytes }) => bytes[0] === 0x28)
        if (hasContent) {
          const packed = toPacked(raw, 'zstd', maxBytes)
          const read = await packed.unpack(maxBytes)
          assert.equal(read?.toString(), whole)
          assert.ok(packed.most >= read.length, `${packed.most} of ${read.length}`)
        }
        const end = cut % raw.length
        const ends = parts.map((_, i) =>
          parts.slice(0, i + 1).reduce((sum, { bytes }) => sum + bytes.length, 0),
        )
        if (ends.includes(end)) return
        await assert.rejects(async () => unpack(raw.subarray(0, end), 'zstd'), {
          code: 'unreadable',
        })
      }),
      { numRuns: runs(200) },
    )
  })
})
