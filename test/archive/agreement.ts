import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { FolderPlace } from '../../src/archive/places/folder.ts'
import { ArchiveReading } from '../../src/archive/read/reading.ts'
import { listArchive } from '../../src/archive/verify.ts'
import { toMicros } from '../../src/core/time.ts'
import {
  type ArchiveKind,
  type ArchiveType,
  archiveColumns,
  archiveKinds,
} from '../../src/store/archive/columns.ts'
import { duck } from './duck.ts'

/* What DuckDB says of an archive, by the macros of sql/archive, and what our own reading says: they agree. */

const ddl = readFileSync(new URL('../../sql/archive/duckdb.sql', import.meta.url), 'utf8')

const types: Record<ArchiveType, string> = {
  ...{ time: 'TIMESTAMP WITH TIME ZONE', id: 'VARCHAR', text: 'VARCHAR', json: 'JSON' },
  ...{ int: 'BIGINT', float: 'DOUBLE', bool: 'BOOLEAN' },
}

/** Rows, values that are there, and the sums of times and whole numbers (of others the lengths of their texts). */
export async function assertAgreement(dir: string): Promise<void> {
  if (!(await isPlain(dir))) return
  for (const kind of archiveKinds) {
    if (!existsSync(join(dir, kind))) continue
    assert.deepEqual(await byDuck(dir, kind), await byReading(dir, kind), kind)
    const described = await duck(ddl, `describe from archived_${kind}('${dir}')`)
    const found = described.map(({ column_name, column_type }) => [column_name, column_type])
    const expected = archiveColumns[kind].map(({ name, type }) => [name, types[type]])
    assert.deepEqual(found, [...expected, ['site', 'VARCHAR'], ['dt', 'DATE']])
  }
}

/** Without hours of an earlier version, which have macros of their own, and without files that were replaced or never counted. */
async function isPlain(dir: string): Promise<boolean> {
  const paths = readdirSync(dir, { recursive: true }).map(String)
  const files = paths.filter((path) => /^(event|job|subjob)\/.*\.parquet$/.test(path)).length
  let named = 0
  for await (const one of listArchive(new FolderPlace(dir))) if ('files' in one) named += one.files
  return named === files && !paths.some((path) => path.includes('hour='))
}

async function byDuck(dir: string, kind: ArchiveKind) {
  const facts = archiveColumns[kind].map(({ name, type }) => {
    const sum =
      type === 'time'
        ? `sum(epoch_us("${name}"))`
        : type === 'int'
          ? `sum("${name}")`
          : type === 'float'
            ? `count(distinct "${name}")`
            : type === 'bool'
              ? `count(*) filter (where "${name}")`
              : `sum(strlen("${name}"::varchar))`
    return `concat(count("${name}"), ' ', coalesce(${sum}, 0)::hugeint) as "${name}"`
  })
  const [row] = await duck(
    ddl,
    `select count(*)::varchar as n, ${facts.join(', ')} from archived_${kind}('${dir}')`,
  )
  return row
}

async function byReading(dir: string, kind: ArchiveKind) {
  const reading = new ArchiveReading(new FolderPlace(dir), { kind })
  let n = 0
  const facts = new Map(
    archiveColumns[kind].map(({ name }) => [name, { count: 0, sum: 0n, distinct: new Set() }]),
  )
  for await (const rows of reading.batches()) {
    n += rows.length
    for (const row of rows) {
      for (const { name, type } of archiveColumns[kind]) {
        const value = row[name] ?? null
        const fact = facts.get(name)
        if (value === null || !fact) continue
        fact.count++
        if (type === 'time') fact.sum += toMicros(String(value))
        else if (type === 'int') fact.sum += BigInt(value)
        else if (type === 'float') fact.distinct.add(value)
        else if (type === 'bool') fact.sum += value ? 1n : 0n
        else fact.sum += BigInt(Buffer.byteLength(String(value)))
      }
    }
  }
  const lost = reading.missing.filter(({ why }) => !why.includes('were deleted for their age'))
  assert.deepEqual(lost, [])
  const texts = [...facts].map(([name, { count, sum, distinct }]) => [
    name,
    `${count} ${sum + BigInt(distinct.size)}`,
  ])
  return { n: String(n), ...Object.fromEntries(texts) }
}
