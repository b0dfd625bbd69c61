import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { cutMetadata, maxMetadataBytes } from '../../src/core/cut-metadata.ts'
import { ExactNumber } from '../../src/core/exact-number.ts'
import { readEvent } from '../../src/core/read-event.ts'
import { runs } from '../support/wild.ts'
import { smallestEvent } from '../support/wire-events.ts'

const bytes = (value: unknown) => Buffer.byteLength(JSON.stringify(value))
const limits = { maxEventBytes: 65_536, maxSkewS: 600 }
const hop = { receivedAt: '2026-03-01T12:00:00.000000Z' }

const character = fc.constantFrom('a', 'é', '😀', '"', '\\', '\n', '\u0001', '\uffff')
const long = fc.tuple(character, fc.nat({ max: 30_000 })).map(([c, n]) => c.repeat(n))
const leaf = fc.oneof(
  long,
  fc.integer(),
  fc.constant(null),
  fc.constant(new ExactNumber('9'.repeat(20))),
)
const name = fc.oneof(
  fc.constantFrom('error', '__proto__', 'truncated', 'exit_code', 'x'),
  fc.string({ maxLength: 3000 }),
)
const named = (value: fc.Arbitrary<unknown>, maxLength: number) =>
  fc
    .uniqueArray(fc.tuple(name, value), { maxLength, selector: ([key]) => key })
    .map((entries) => Object.fromEntries(entries))
const metadata = named(fc.oneof(leaf, fc.array(leaf, { maxLength: 3 }), named(leaf, 3)), 40)

describe('metadata that is too large', () => {
  test('fits once it is cut, whatever is in it, and says that it was cut', () => {
    fc.assert(
      fc.property(metadata, (given) => {
        const before = JSON.stringify(given)
        const cut = cutMetadata(given)
        assert.equal(JSON.stringify(given), before, 'what came is left as it is')
        assert.ok(bytes(cut) <= maxMetadataBytes)
        if (bytes(given) <= maxMetadataBytes) assert.equal(cut, given)
        else assert.equal(cut.truncated, true)
        assert.ok(JSON.stringify(cut).isWellFormed())
        assert.deepEqual(JSON.stringify(cutMetadata(cut)), JSON.stringify(cut))
      }),
      { numRuns: runs(300) },
    )
  })

  test('loses of its largest texts, and nothing else', () => {
    const given = {
      exit_code: 137,
      stderr: 'e'.repeat(60_000),
      stdout: 'o'.repeat(40_000),
      tool: 'A',
    }
    const cut = cutMetadata(given)
    assert.deepEqual([cut.exit_code, cut.tool], [137, 'A'])
    assert.match(String(cut.stderr), /^e{16000,}… \[cut from 60000 characters\]$/)
    assert.match(String(cut.stdout), /^o{16000,}… \[cut from 40000 characters\]$/)
    assert.ok(bytes(cut) > maxMetadataBytes - 100, 'and no more than it must')
  })

  test('loses its largest fields where no text is long, and the agreed ones last', () => {
    const list = cutMetadata({ exit_code: 1, sites: Array.from({ length: 20_000 }, (_, i) => i) })
    assert.deepEqual(list, { exit_code: 1, sites: '[cut: 108891 bytes]', truncated: true })
    const many = Object.fromEntries(Array.from({ length: 9000 }, (_, i) => [`field_${i}`, i]))
    const cut = cutMetadata({ ...many, error: 'T3 timeout' })
    assert.equal(cut.error, 'T3 timeout')
  })

  test('never costs the end of a job', () => {
    const event = { kind: 'finished', metadata: { error: 'x'.repeat(200_000) } } as const
    const read = readEvent(smallestEvent(event), hop, limits, true)
    assert.ok(read.ok)
    assert.equal(read.truncated, true)
    assert.equal(JSON.parse(read.json).event.metadata.truncated, true)
    const small = readEvent(smallestEvent({ metadata: { error: 'x' } }), hop, limits, true)
    assert.ok(small.ok && !small.truncated)
  })
})
