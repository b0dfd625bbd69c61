import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { badNumber, checkTree, parseJson, parseText } from '../../src/core/json.ts'

describe('parseJson', () => {
  for (const text of [
    '1e-400',
    '-1E-0400',
    '[1.5e-400]',
    '{"a":1e-400}',
    '{"a": \n -12.5e-4000}',
    `[0,0.${'0'.repeat(400)}1]`,
  ]) {
    test(`marks a number that is too small for a double: ${text.slice(0, 20)}`, () => {
      const found: unknown[] = []
      const collect = (value: unknown): void => {
        if (value !== null && typeof value === 'object') Object.values(value).forEach(collect)
        else found.push(value)
      }
      collect(parseJson(text))
      assert.ok(found.includes(badNumber), JSON.stringify(found))
    })
  }

  test('leaves zeros, small doubles and text as they are', () => {
    const text = '[0, 0e-400, 1e-300, "1e-400", "a 1e-400", "0193581e-123a-7d10-9a35-6f0c41c2b7e8"]'
    assert.deepEqual(parseJson(text), JSON.parse(text))
  })
})

describe('NaN and Infinity, which are no JSON', () => {
  test('are numbers beyond the doubles, so that a check names their field', () => {
    const text = '{"x": NaN, "y": [-Infinity, "NaN"], "Infinity": 1, "e\\"NaN": Infinity}'
    assert.deepEqual(parseJson(text), {
      x: Infinity,
      y: [-Infinity, 'NaN'],
      Infinity: 1,
      'e"NaN': Infinity,
    })
    assert.equal(checkTree(parseJson('{"a": {"b": NaN}}'), 9)?.field, 'a.b')
  })

  for (const text of ['{"x": NaNa}', '{"x": NaN', 'Infinity1', '{NaN: 1}', '"NaN']) {
    test(`do not make JSON of ${text}`, () => {
      assert.throws(() => parseJson(text), /not JSON/)
    })
  }
})

describe('parseText', () => {
  // With JSON.parse these come out as the name before them: nodejs/node#63785.
  test('reads a name although it saw another one before', () => {
    for (const [seen, name] of [
      ['\\\\', '\\"'],
      ['\\\\', '\\n'],
      ['\\\\', '\\u0001'],
      ['a\\\\', 'a\\n'],
      ['\\\\n', '\\nb'],
      ['\\\\\\\\', '\\\\n'],
    ]) {
      parseText(`{"lot":1,"${seen}":0}`)
      const read = parseText(`{"lot":1,"${name}":0}`) as object
      assert.deepEqual(Object.keys(read), ['lot', JSON.parse(`"${name}"`)])
    }
  })

  test('reads what JSON.stringify wrote, whatever is in it', () => {
    const text = fc.string({ unit: fc.constantFrom('"', '\\', ':', ' ', 'n', '\n', '{', '}', 'ß') })
    const value = fc.letrec((tie) => ({
      tree: fc.oneof(
        { depthSize: 'small' },
        text,
        fc.integer(),
        fc.constant(null),
        fc.array(tie('tree')),
        fc.array(fc.tuple(text, tie('tree'))).map((pairs) => Object.fromEntries(pairs)),
      ),
    })).tree
    const spaces = fc.constantFrom(undefined, 1, '\t')
    fc.assert(
      fc.property(value, spaces, (given, space) => {
        const json = JSON.stringify(given, null, space)
        assert.equal(JSON.stringify(parseText(json), null, space), json)
      }),
      { numRuns: 2000 },
    )
  })

  test('keeps a name called __proto__, and the last of two that are the same', () => {
    const read = parseText('{"__proto\\u005f_":1,"a":1,"\\u0061":2}') as object
    assert.deepEqual(JSON.stringify(read), '{"__proto__":1,"a":2}')
  })

  for (const text of ['{"\\x":1}', '{"a\\n":}', '{"a\\"', '"\\"', '\\"a":1', '{"\n\\n":1}']) {
    test(`refuses what JSON.parse refuses, with its words: ${JSON.stringify(text)}`, () => {
      const words = (parse: (text: string) => unknown) => {
        try {
          parse(text)
          return undefined
        } catch (error) {
          return (error as Error).message
        }
      }
      assert.equal(words(parseText), words(JSON.parse))
      assert.ok(words(parseText))
    })
  }

  test('takes text that is nested deeper than the stack', () => {
    const deep = `{"a\\n":${'['.repeat(60_000)}${']'.repeat(60_000)}}`
    assert.ok(parseText(deep))
  })
})
