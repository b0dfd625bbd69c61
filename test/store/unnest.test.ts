import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { connect } from '../../src/store/connect.ts'
import { type Column, toArrays, unnestSql } from '../../src/store/unnest.ts'
import { freshDatabase } from '../support/database.ts'

const op = { operation: 'test', table: 'none' }
const columns: readonly Column[] = [
  ['id', 'int'],
  ['name', 'text'],
  ['document', 'jsonb'],
  ['share', 'float8'],
  ['done', 'boolean'],
]
const statement = `select id, name, document, share, done from ${unnestSql('r', columns)} order by id`

/** Characters with a meaning in an array, or in JSON, come up more often than by chance. */
const text = fc.oneof(
  fc.string({ unit: 'binary' }).map((any) => any.replaceAll('\0', '')),
  fc.string({
    unit: fc.constantFrom('"', '\\', ',', '{', '}', ' ', '\n', '\t', '\u0007', 'ß', '😀'),
  }),
  fc.constantFrom('', 'NULL', 'null', '{}', '{NULL}', '"', '\\', '\\"'),
)
const document = fc.dictionary(text, fc.oneof(text, fc.integer(), fc.boolean(), fc.array(text)))
const row = fc.record(
  {
    name: fc.option(text, { nil: null }),
    document: fc.option(document, { nil: null }),
    share: fc.double({ noNaN: true, noDefaultInfinity: true }).map((share) => share + 0),
    done: fc.boolean(),
  },
  { requiredKeys: [] },
)

describe('rows as arrays', () => {
  test('escape what would end a text', () => {
    const lots = [{ name: 'a"b\\c' }, { name: 'NULL' }, {}]
    assert.deepEqual(toArrays(lots, [['name', 'text']]), ['{"a\\"b\\\\c","NULL",NULL}'])
  })

  test('come out as they went in, whatever they contain', async (t) => {
    const { url } = await freshDatabase(t)
    const store = connect(url, { role: 'test', max: 1 })
    t.after(() => store.close())
    await fc.assert(
      fc.asyncProperty(fc.array(row, { maxLength: 20 }), async (given) => {
        const rows = given.map((values, id) => ({ id, ...values }))
        const found = await store.ask(op, (sql) =>
          sql.unsafe(statement, toArrays(rows, columns), { prepare: true }),
        )
        const expected = rows.map((values) => ({
          id: values.id,
          name: values.name ?? null,
          document: values.document ? { ...values.document } : null,
          share: values.share ?? null,
          done: values.done ?? null,
        }))
        assert.deepEqual([...found], expected)
      }),
      { numRuns: 300 },
    )
  })
})
