import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { mergeSlots } from '../../src/core/fold.ts'
import { type Slot, type Slots, slotList } from '../../src/core/slots.ts'
import {
  isRare,
  slotColumns,
  upsertSql,
  usualColumns,
  usualUpsertSql,
} from '../../src/store/ingest-sql.ts'
import { toArrays } from '../../src/store/unnest.ts'
import { openStore, run } from '../support/store.ts'

/*
 * The table of slots against the database: its columns, and its rules. Both tests read the table, so
 * they hold for a slot that is added to it. That the rules agree with wire.md, section 5, is
 * tested by fold.test.ts and ingest.test.ts.
 */

const names = slotList.map(([name]) => name)
const isUnion = slotList.map(([, { merge }]) => merge === 'union')
/** Only as a set they must be equal. */
const asSet = (numbers: unknown) =>
  numbers && [...new Set(numbers as number[])].sort((a, b) => a - b)
const id = 'b0000000-0000-4000-8000-000000000001'

/** Few values of each type, so that ties are common. */
const values: Record<Slot['type'], fc.Arbitrary<unknown>> = {
  timestamptz: fc
    .constantFrom(0, 0, 1, 59_999_999)
    .map((us) => `2026-03-01T12:00:${(us / 1e6).toFixed(6).padStart(9, '0')}Z`),
  uuid: fc
    .constantFrom('0', '9', 'a', 'f')
    .map((hex) => `${hex}0000000-0000-4000-8000-00000000000a`),
  text: fc.constantFrom('', 'B', 'a', 'ä', '\uffff', '😀'),
  float8: fc.constantFrom(0, 0.1, 1, 2.5),
  int: fc.constantFrom(0, 1, 2),
  'int8[]': fc
    .uniqueArray(fc.nat({ max: 99 }), { minLength: 1, maxLength: 64 })
    .map((numbers) => numbers.map((n) => 2 ** 52 - 50 + n).sort((a, b) => a - b)),
  jsonb: fc.dictionary(fc.constantFrom('x', 'y'), fc.constantFrom<unknown>(1, 'a', null)),
}
const namedValues = fc.dictionary(
  fc.constantFrom('a', 'B', '😀', '__proto__'),
  fc.tuple(fc.constantFrom('2026-a', '2026-b', '2026-c'), fc.constantFrom(1, 2)),
  { minKeys: 1 },
)

const part = fc.record({
  at: values.timestamptz,
  key: values.uuid,
  text: fc.constantFrom('a', 'b'),
})
const entry = fc.record(
  {
    first_event_at: values.timestamptz,
    given_started_at: values.timestamptz,
    end: part,
    error: part,
  },
  { requiredKeys: ['first_event_at'] },
)
/** More than a row keeps, together. */
const entries = fc.dictionary(fc.integer({ min: 1, max: 24 }).map(String), entry, {
  minKeys: 1,
  maxKeys: 15,
})

/** A row as an event or a fold makes it: of a group all that decides, or nothing. */
const anySlots: fc.Arbitrary<Slots> = fc
  .record(Object.fromEntries(slotList.map(([name, slot]) => [name, anyValue(slot)])))
  .map((row) => {
    for (const [name, slot] of slotList) {
      if (slot.merge !== 'latest') continue
      const decided =
        row[`${slot.group}_at`] !== undefined && row[`${slot.group}_key`] !== undefined
      if (!decided) delete row[name]
    }
    if (row.queued_at === undefined) {
      for (const name of slotList.map(([one]) => one)) if (/queue/.test(name)) delete row[name]
    }
    return { id, ...row, attempt: Number(row.attempt) + 1 } as Slots
  })

function anyValue(slot: Slot): fc.Arbitrary<unknown> {
  const ofRule = { latest_by_name: namedValues, attempts: entries } as Record<
    string,
    fc.Arbitrary<unknown> | undefined
  >
  const value = ofRule[slot.merge] ?? values[slot.type]
  return slot.always ? value : fc.option(value, { nil: undefined, freq: 2 })
}

describe('the table of slots', () => {
  test('names the columns of job and subjob, with their types, and which are never null', async (t) => {
    const { store } = await openStore(t, 'plain')
    const expected = slotList.map(([name, { type, always = false }]) => [name, type, always])
    for (const table of ['job', 'subjob']) {
      const columns = await run(
        store,
        `select attname as name, atttypid::regtype::text as type, attnotnull as always
         from pg_attribute where attrelid = '${table}'::regclass and attnum > 0
           and not attisdropped and attgenerated = ''
           and attname not in ('${table}_id', 'inserted_at', 'updated_at', 'start_before',
             'restored_until')
         order by attnum`,
      )
      assert.deepEqual(
        columns.map(({ name, type, always }) => [name, shortType(String(type)), always]),
        expected,
      )
    }
  })

  test('has no generated column whose function is planned again for every row', async (t) => {
    const { store } = await openStore(t, 'plain')
    const names = await run(
      store,
      `select proname as name from pg_proc join pg_language l on l.oid = prolang
       where lanname = 'sql' and pronamespace = 'public'::regnamespace`,
    )
    const isCalled = new RegExp(`\\b(${names.map(({ name }) => name).join('|')})\\(`)
    for (const table of ['job', 'subjob', 'source']) {
      const columns = await run(
        store,
        `select attname as name, pg_get_expr(adbin, adrelid) as made
         from pg_attribute join pg_attrdef on adrelid = attrelid and adnum = attnum
         where attrelid = '${table}'::regclass and attgenerated = 's'`,
      )
      assert.ok(columns.length > 0, table)
      for (const { name, made } of columns) {
        // A function in SQL that is one expression is gone from the plan: it was put in its place.
        const plan = await run(store, `explain (verbose) select ${made} from ${table}`)
        assert.doesNotMatch(JSON.stringify(plan), isCalled, `${table}.${name}`)
      }
    }
  })

  test('is merged by the same rules in SQL as in memory', async (t) => {
    const { store } = await openStore(t, 'plain')
    const merge = async (rows: Slots[]) => {
      await run(store, 'truncate job')
      for (const row of rows) {
        // As ingest does it.
        const usual = isRare(row)
          ? undefined
          : await store.sql.unsafe(usualUpsertSql('job'), toArrays([row], usualColumns))
        if (usual?.[0]?.n !== 1) {
          await store.sql.unsafe(upsertSql('job'), toArrays([row], slotColumns))
        }
      }
      const [found] = await store.sql.unsafe(`select ${names.join(', ')} from job`).values()
      return found
    }
    const property = fc.asyncProperty(
      fc.array(anySlots, { minLength: 2, maxLength: 4 }),
      async (rows) => {
        const stored = await merge(rows)
        const [first, ...others] = rows.map(copy)
        for (const other of others) mergeSlots(first!, other)
        const shown = (stored as unknown[]).map((value, i) => (isUnion[i] ? asSet(value) : value))
        assert.deepEqual(plain(shown), plain(names.map((name) => first![name] ?? null)))
      },
    )
    await fc.assert(property, { numRuns: 100 })
  })
})

/** The fold changes what it merges into. Objects of names have no prototype there. */
function copy(row: Slots): Slots {
  const entries = Object.entries(row).map(([name, value]) => [
    name,
    value && typeof value === 'object' && !Array.isArray(value)
      ? Object.assign(Object.create(null), value)
      : value,
  ])
  return Object.fromEntries(entries)
}

const shortTypes: Record<string, string> = {
  'timestamp with time zone': 'timestamptz',
  'double precision': 'float8',
  integer: 'int',
  'bigint[]': 'int8[]',
}
const shortType = (type: string) => shortTypes[type] ?? type

/** Without prototypes, and with one order of names. */
const plain = (row: unknown) =>
  JSON.parse(JSON.stringify(row), (_, value) =>
    value && typeof value === 'object' && !Array.isArray(value)
      ? Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1))
      : value,
  )
