import { mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type DuckDBConnection, DuckDBInstance } from '@duckdb/node-api'
import type { Column } from './column.ts'
import type { Seen } from './seen.ts'

type Kind = 'csv' | 'json'

/** What DuckDB makes of a list of files: key, epoch, number, job of each line. */
const queries: Record<Kind, (files: string) => string> = {
  csv: (files) => `select idempotency_key, '', source_seq,
    case when parent_id is null or parent_id = '' then entity_id else parent_id end
    from read_csv([${files}], header = true, all_varchar = true, max_line_size = 10000000)`,
  json: (files) => `select idempotency_key, source->>'epoch', source->>'seq',
    coalesce(entity->>'parent_id', entity->>'id')
    from read_json([${files}], format = 'newline_delimited', maximum_object_size = 10000000,
      columns = {idempotency_key: 'VARCHAR', source: 'JSON', entity: 'JSON'})`,
}

/** A column of files, which are read by DuckDB. Each line counts as an event of its own. */
export const fileColumn = (kind: Kind, settings: object): Column => ({
  ...{ name: kind, type: kind, ordered: true },
  async open(t, dir) {
    const output_dir = join(dir, 'events')
    const duckdb = await (await DuckDBInstance.create()).connect()
    t.after(() => duckdb.closeSync())
    return {
      config: { output_dir, ...settings },
      ...{ faults: [], tell: async () => {}, hits: async () => 0, complaints: () => [] },
      openFiles: () => listFiles(output_dir, /^open_/).map((name) => join(output_dir, name)),
      // Something else is where its folder was.
      async die() {
        mkdirSync(output_dir, { recursive: true })
        renameSync(output_dir, `${output_dir}.away`)
        writeFileSync(output_dir, '')
      },
      async revive() {
        rmSync(output_dir)
        renameSync(`${output_dir}.away`, output_dir)
      },
      read: () => readFiles(duckdb, kind, output_dir),
    }
  },
})

const listFiles = (dir: string, which: RegExp) =>
  readdirSync(dir).filter((name) => which.test(name))

/** Finished files in the order in which they were begun, then the open one. */
async function readFiles(duckdb: DuckDBConnection, kind: Kind, dir: string): Promise<Seen[]> {
  const finished = listFiles(dir, /^wafer_events_[^/]*\.(csv|jsonl)(\.gz)?$/).sort(byPlace)
  const names = [...finished, ...listFiles(dir, /^open_/)]
  if (names.length === 0) return []
  const list = names.map((name) => `'${join(dir, name)}'`).join(', ')
  const rows = await (await duckdb.runAndReadAll(queries[kind](list))).getRows()
  return rows.map(([key, epoch, seq, job], i) => ({
    id: `line ${i}`,
    ...{ key: String(key), epoch: String(epoch), seq: Number(seq), job: String(job) },
  }))
}

/** `wafer_events_PERIOD.NUMBER.csv`; the first of a period has no number. */
function byPlace(a: string, b: string): number {
  const place = (name: string) => {
    const [, period = '', number = '1'] = /^wafer_events_(\w+)(?:\.(\d+))?\./.exec(name) ?? []
    return { period, number: Number(number) }
  }
  const [one, other] = [place(a), place(b)]
  return one.period.localeCompare(other.period) || one.number - other.number
}
