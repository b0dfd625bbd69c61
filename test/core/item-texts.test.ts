import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { cutArray, cutLines, findHuge } from '../../src/core/item-texts.ts'
import { isPlain, parseJson, parseText } from '../../src/core/json.ts'
import { readEvent } from '../../src/core/read-event.ts'
import { runs } from '../support/wild.ts'
import { smallestEvent } from '../support/wire-events.ts'

/** Names and texts that look like the place where it cuts. */
const tricky = fc.constantFrom(
  'idempotency_key',
  '"idempotency_key"',
  '{"idempotency_key":"a"}',
  'idempotency\\u005fkey',
  '},{',
  '}',
  '{',
  '[]',
  'a',
  '',
)
const { value } = fc.letrec((tie) => ({
  value: fc.oneof(
    { maxDepth: 4 },
    tricky,
    fc.integer(),
    fc.constant(null),
    fc.array(tie('value'), { maxLength: 3 }),
    fc.dictionary(tricky, tie('value'), { maxKeys: 3 }),
  ),
}))

/** An item, with its key first or not, or no event at all. */
const item = fc.oneof(
  { weight: 5, arbitrary: fc.record({ idempotency_key: value, event: value }) },
  fc.record({ event: value, idempotency_key: value }),
  value,
)
const indent = fc.constantFrom(undefined, 1, '\t', '\n ')

const textsOf = (text: string) =>
  cutArray(text, 1000).map(({ start, end }) => text.slice(start, end))

describe('the texts of the items of an array', () => {
  test('are those of the items', () => {
    fc.assert(
      fc.property(fc.array(item, { maxLength: 5 }), indent, (items, space) => {
        const text = ` ${JSON.stringify(items, null, space)}\n`
        assert.deepEqual(
          textsOf(text).map((one) => JSON.parse(one)),
          JSON.parse(text),
        )
      }),
      { numRuns: runs(2000) },
    )
  })

  test('parse alone exactly when the array parses', () => {
    const piece = fc.constantFrom('{', '}', '[', ']', ',', '"', '\\', ':', '1', ' ', 'null', '"a"')
    const parses = (text: string) => {
      try {
        JSON.parse(text)
        return true
      } catch {
        return false
      }
    }
    const cutParses = (text: string) => {
      try {
        return textsOf(text).every(parses)
      } catch {
        return false
      }
    }
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 9 }), (pieces) => {
        const text = `[${pieces.join('')}`
        for (const one of [text, `${text}]`]) assert.equal(cutParses(one), parses(one), one)
      }),
      { numRuns: runs(5000) },
    )
  })

  test('are at most as many as a request may have', () => {
    assert.equal(cutArray('[1,2,3]', 3).length, 3)
    assert.throws(() => cutArray('[1,2,3,4]', 3), { code: 'too_large' })
    assert.throws(() => cutLines('1\n2\n3\n4', 3), { code: 'too_large' })
  })
})

describe('the texts of lines', () => {
  const linesOf = (text: string) =>
    cutLines(text, 1000).map(({ start, end }) => text.slice(start, end))

  test('are those of lines that are not empty, whatever ends them', () => {
    assert.deepEqual(linesOf('\n {"a":1} \r\n\n\r\n{"b":2}'), ['{"a":1}', '{"b":2}'])
    assert.deepEqual(linesOf(' \n'), [])
  })

  test('are those of records of a JSON text sequence, which may have lines', () => {
    const text = '\x1e{"a":\n1}\n\x1e\x1e\n\x1e{"b":2}\n'
    assert.deepEqual(linesOf(text), ['{"a":\n1}', '{"b":2}'])
  })
})

describe('an item that is not worth parsing', () => {
  const find = (text: string, max = 100) => findHuge(text, { start: 0, end: text.length }, max)

  test('is found by what its normal form has at least', () => {
    assert.equal(find(`"${'x'.repeat(101)}"`), 'large')
    assert.equal(find(`[${'{},'.repeat(50)}1]`), 'large')
    assert.equal(find(`[${' '.repeat(1000)}]`), undefined)
    assert.equal(find(`"${'\\u0041'.repeat(90)}"`), undefined)
    assert.equal(find(`"${'\\"'.repeat(90)}"`), undefined)
    assert.equal(find('['.repeat(1001), 2000), undefined)
    assert.equal(find('['.repeat(2001), 2000), 'deep')
  })

  test('is never one whose normal form is small', () => {
    fc.assert(
      fc.property(value, indent, (item, space) => {
        const text = JSON.stringify(item, null, space)
        assert.equal(find(text, JSON.stringify(item).length), undefined)
      }),
      { numRuns: runs(1000) },
    )
  })
})

describe('the JSON of an event whose text is known', () => {
  const hop = { receivedAt: '2026-03-01T12:00:05.000000Z' }
  const limits = { maxEventBytes: 65_536, maxSkewS: 600 }
  const at = '2026-03-01T12:00:00.000000Z'
  const base = smallestEvent({ at })
  const usual = { ...base, app: { ...base.app, version: '1' } }
  const jsonOf = (text: string, firstHop: Parameters<typeof readEvent>[1] = hop) => {
    const read = readEvent(parseJson(text), firstHop, limits, isPlain(text), text)
    assert.ok(read.ok, read.ok ? '' : read.detail)
    assert.deepEqual(parseText(read.json), read.event)
    return read.json
  }

  test('is that text, with the time of arrival', () => {
    const text = JSON.stringify(usual)
    assert.equal(jsonOf(text), `${text.slice(0, -1)},"received_at":"${hop.receivedAt}"}`)
  })

  test('keeps numbers as they were written', () => {
    const text = JSON.stringify(usual).replace('"progress"', '"progress","metadata":{"n":1.50}')
    assert.match(jsonOf(text), /"n":1\.50/)
  })

  const changed: [string, object][] = [
    ['a key that is not a UUID', { ...usual, idempotency_key: 'a' }],
    [
      'ids in upper case',
      { ...usual, entity: { type: 'job', id: base.entity.id.replace('e', 'E') } },
    ],
    ['no version', base],
    [
      'a time in another form',
      { ...usual, event: { kind: 'progress', at: '2026-03-01T12:00:00Z' } },
    ],
    ['a clock ahead', { ...usual, event: { kind: 'progress', at: '2026-03-01T13:00:00.000000Z' } }],
    ['a time of arrival of its own', { ...usual, received_at: at }],
    ['a stamp that is null', { ...usual, source: null }],
    ['a stamp', { ...usual, source: { id: 'a', epoch: 'b', seq: 1 }, received_at: at }],
  ]
  for (const [what, event] of changed) {
    test(`is the normal form, not the text: ${what}`, () => {
      const text = JSON.stringify(event)
      const json = jsonOf(text)
      assert.notEqual(json, `${text.slice(0, -1)},"received_at":"${hop.receivedAt}"}`)
    })
  }

  test('is the normal form where the first hop adds to it', () => {
    const text = JSON.stringify(usual)
    assert.match(jsonOf(text, { ...hop, startOf: () => at }), /"started_at"/)
    const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'
    assert.match(jsonOf(text, { ...hop, traceparent }), /"traceparent"/)
  })

  test('does not keep white space without end', () => {
    const text = JSON.stringify(usual).replace('{', `{${' '.repeat(10_000)}`)
    assert.ok(jsonOf(text).length < 1000)
  })

  const grown: [string, string][] = [
    ['numbers that grow when they are written again', `[${Array(10_000).fill('1e20')}]`],
    ['numbers of C that grow', `[${Array(10_500).fill('1e+06')}]`],
    ['white space, of much that is short', JSON.stringify(Array(7000).fill([1]), null, 1)],
    ['a name twice', `{"k":"${'日'.repeat(20_000)}","k":"a"}`],
  ]
  for (const [what, note] of grown) {
    test(`never decides about its size: ${what}`, () => {
      const text = `${JSON.stringify(usual).slice(0, -1)},"note":${note}}`
      const input = parseJson(text)
      const [by, without] = [text, undefined].map((own) => readEvent(input, hop, limits, true, own))
      assert.ok(by && without)
      assert.equal(by.ok, without.ok)
      if (by.ok) assert.ok(Buffer.byteLength(by.json) <= 66_000)
    })
  }
})
