import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { csvLine } from '../../src/core/csv.ts'
import { parseCsv } from '../support/csv.ts'

describe('a line of CSV', () => {
  test('reads back as it was, but for what a spreadsheet would run', () => {
    const text = fc.string({ unit: fc.constantFrom('a', '"', ',', '\n', '\r', '=', "'", ' ', 'é') })
    fc.assert(
      fc.property(fc.array(text, { minLength: 2, maxLength: 5 }), (values) => {
        const [row] = parseCsv(csvLine(values))
        const expected = values.map((value) =>
          value.replaceAll(/(?<=^|[\r\n])(?=[" ]*[=\r\n])/g, "'"),
        )
        assert.deepEqual(row, expected)
      }),
    )
  })

  test('disarms formulas in text and leaves numbers alone', () => {
    const line = csvLine(['=cmd|x', '+1', '-1', '@SUM(A1)', '\tx', -1.5, true, null, { a: '=1' }])
    assert.equal(line, `'=cmd|x,'+1,'-1,'@SUM(A1),'\tx,-1.5,true,,"{""a"":""=1""}"\r\n`)
  })

  test('starts no formula for readers that end a field at a semicolon, a tab or a line break', () => {
    const begins = fc.constantFrom('=', '+', '-', '@', '＝', 'a', '1')
    const between = fc.constantFrom(';', '\t', '\n', '\r', '"', ' ', ',', "'")
    const text = fc.string({ unit: fc.oneof(begins, between) })
    fc.assert(
      fc.property(fc.array(fc.oneof(text, fc.record({ a: text })), { minLength: 1 }), (values) => {
        for (const cell of csvLine(['id', ...values]).split(/[;\t\r\n]/)) {
          assert.doesNotMatch(cell, /^[" ]*[=+\-@＝＋－＠]/)
        }
      }),
    )
    assert.equal(csvLine(['x;=1', ';=1', { a: ';=1' }]), `x;'=1,;'=1,"{""a"":""\\u003b=1""}"\r\n`)
  })

  test('quotes what holds a comma, a quote or a line break, and nothing else', () => {
    assert.equal(
      csvLine(['a b', 'a,b', 'a"b', 'a\nb', 'a\rb', '']),
      'a b,"a,b","a""b","a\nb","a\rb",\r\n',
    )
  })

  test('has objects and lists as JSON, and nothing for null and undefined', () => {
    assert.equal(csvLine([{}, [1, 2], null, undefined, 0, false]), '{},"[1,2]",,,0,false\r\n')
  })
})
