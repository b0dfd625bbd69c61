import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { csvLine } from '../../src/core/csv.ts'
import { ExactNumber, hasLongNumber } from '../../src/core/exact-number.ts'
import { isPlain, parseJson, parseText } from '../../src/core/json.ts'
import { readEvent } from '../../src/core/read-event.ts'
import { metadataText } from '../../views/job-text.ts'
import { otherMetadata } from '../../views/partials/metadata.tsx'
import { runs } from '../support/wild.ts'
import { smallestEvent } from '../support/wire-events.ts'

const limits = { maxEventBytes: 65_536, maxSkewS: 600 }
const hop = { receivedAt: '2026-03-01T12:00:05.000000Z' }

describe('a whole number that no double holds', () => {
  const digits = fc
    .tuple(fc.boolean(), fc.bigInt({ min: 0n, max: 10n ** 40n }))
    .map(([minus, value]) => `${minus && value > 0n ? '-' : ''}${value}`)

  test('keeps its digits wherever it stands, read and written any number of times', () => {
    const tree = fc.letrec((tie) => ({
      tree: fc.oneof(
        { maxDepth: 3 },
        digits,
        fc.array(tie('tree'), { maxLength: 3 }).map((items) => `[${items.join(',')}]`),
        fc
          .array(fc.tuple(fc.constantFrom('a', 'b\\n', '"', '0123456789012345678'), tie('tree')))
          .map((fields) => new Map(fields.map(([name, value]) => [JSON.stringify(name), value])))
          .map((fields) => `{${[...fields].map(([name, value]) => `${name}:${value}`).join(',')}}`),
      ),
    })).tree as fc.Arbitrary<string>
    fc.assert(
      fc.property(tree, (text) => {
        for (const parse of [parseText, parseJson]) {
          const once = JSON.stringify(parse(text))
          assert.equal(valuesOf(once), valuesOf(text))
          assert.equal(JSON.stringify(parse(once)), once)
        }
      }),
      { numRuns: runs(2000) },
    )
  })

  /** Numbers as PostgreSQL compares them: `1e+21` is as good as its digits. */
  const valuesOf = (text: string) => text.replaceAll('1e+21', `1${'0'.repeat(21)}`)

  test('is any but those that JavaScript writes as they came', () => {
    for (const same of ['0', '-1', '9007199254740991', '100000000000000000000', '1e400', '1.5']) {
      const value = parseJson(same)
      assert.equal(typeof value, 'number', same)
    }
    for (const exact of ['9007199254740993', '-9223372036854775808', '1767225600123456789']) {
      assert.deepEqual(parseJson(exact), new ExactNumber(exact))
    }
    // A fraction or an exponent says that it was a double.
    assert.equal(parseJson('1.7672256001234567891e18'), 1767225600123456800)
  })

  test('is found by looking at every sixteenth character', () => {
    fc.assert(
      fc.property(fc.array(fc.constantFrom('7', '12345', 'x', ' '), { maxLength: 40 }), (parts) => {
        const text = parts.join('')
        assert.equal(hasLongNumber(text), /\d{16}/.test(text), text)
      }),
      { numRuns: runs(5000) },
    )
  })

  const big = '9223372036854775807'
  const read = (event: object) => {
    const text = JSON.stringify(event).replaceAll('"#"', big)
    return readEvent(parseJson(text), hop, limits, isPlain(text), text)
  }
  const base = smallestEvent({ metadata: { id: '#', list: [{ deep: '#' }] } })

  test('passes the door in metadata and unknown fields, as the text or in normal form', () => {
    const usual = { ...base, app: { ...base.app, version: '1' }, note: '#' }
    for (const event of [usual, { ...usual, idempotency_key: 'not a UUID' }]) {
      const one = read(event)
      assert.ok(one.ok, one.ok ? '' : one.detail)
      assert.equal(one.json.split(big).length, 4)
      assert.equal(JSON.stringify(parseText(one.json)).split(big).length, 4)
    }
  })

  const refused: [string, object, RegExp][] = [
    ['event.metrics.count', smallestEvent({ metrics: { count: '#' as never } }), /finite number; /],
    ['event.metadata', smallestEvent({ metadata: '#' as never }), /must be an object; /],
    ['event.metrics', smallestEvent({ metrics: '#' as never }), /must be an object of finite/],
    [
      'source.seq',
      { ...base, source: { id: 'a', epoch: 'b', seq: '#' } },
      /must be a whole number/,
    ],
    ['idempotency_key', { ...base, idempotency_key: '#' }, /must be text/],
  ]
  for (const [field, event, detail] of refused) {
    test(`is refused by name where a double, or no number, is due: ${field}`, () => {
      const one = read(event)
      assert.ok(!one.ok)
      assert.equal(one.field, field)
      assert.match(one.detail, detail)
      assert.match(one.detail, /got the number 9223372036854775807, which no double holds exactly/)
    })
  }

  test('counts for the size and the depth of its event', () => {
    const wide = smallestEvent({ metadata: { list: Array(2000).fill('#') } })
    const tooWide = read(wide)
    assert.ok(tooWide.ok && tooWide.truncated)
    let deep: unknown = '#'
    for (let i = 0; i < 28; i++) deep = [deep]
    assert.equal(read({ ...base, event: { ...base.event, metadata: { deep } } }).ok, true)
  })

  test('is shown with its digits: in tables, among metadata, in CSV', () => {
    const job = { metadata: { recipe: new ExactNumber(big), other: new ExactNumber(big) } }
    assert.equal(metadataText(job as never, 'recipe'), big)
    assert.deepEqual(
      otherMetadata(job as never).map(([name]) => name),
      ['other'],
    )
    assert.match(csvLine([job.metadata]), new RegExp(`""recipe"":${big}`))
  })
})
