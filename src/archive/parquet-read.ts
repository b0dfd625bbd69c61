import { type Table, tableFromIPC, Vector } from 'apache-arrow'
import type * as wasm from 'parquet-wasm/esm'
import { loadWasm } from './parquet-wasm.ts'
import { collect } from './places/content.ts'
import type { Content } from './places/place.ts'

/*
 * Reads Parquet back. Observed with parquet-wasm 0.8:
 *
 * - A page that was changed on disk is read without complaint (there are no page checksums): what
 *   protects a file is its SHA-256.
 * - Of a Blob it uses `size`, `slice` and `arrayBuffer` only, so ranges of any content will do.
 * - A range that cannot be read panics, outside of every promise, and ends the process. So such a
 *   range never settles, and the reading fails from outside.
 */

/** The facts of a file, from its footer and its time column. */
export type ParquetFacts = {
  claimed: number
  rows: number
  /** Least and greatest time, microseconds since 1970; undefined when no row has one. */
  min: bigint | undefined
  max: bigint | undefined
  about: Map<string, string>
}

/**
 * Reads the row count in the footer and decodes the time column; `deep` decodes every other column
 * as well.
 *
 * @throws when it is not a whole Parquet file, when a column does not have a value for every row,
 * and what reading the content throws
 */
export async function readParquet(
  content: Content,
  timeColumn: string,
  deep = false,
): Promise<ParquetFacts> {
  const facts: ParquetFacts = {
    ...{ claimed: 0, rows: 0, min: undefined, max: undefined, about: new Map() },
  }
  const asked = deep ? undefined : [timeColumn]
  await decode(
    content,
    asked,
    (table) => addTimes(facts, table, timeColumn),
    (footer) => {
      facts.claimed = footer.numRows()
      facts.about = footer.keyValueMetadata() as Map<string, string>
    },
  )
  return facts
}

/** A value of a column: times and whole numbers are bigint. */
export type ParquetValue = string | bigint | number | boolean | null

/**
 * Reads some columns and hands them over in batches of rows.
 *
 * @param consume gets the values of each column, in the order of `columns`
 * @throws as {@link readParquet}, when a column is not there, and what `consume` throws
 */
export async function readColumns(
  content: Content,
  columns: readonly string[],
  consume: (values: ParquetValue[][], rows: number) => void | Promise<void>,
): Promise<void> {
  await decode(content, columns, (table) =>
    consume(
      columns.map((name) => valuesOf(table, name)),
      table.numRows,
    ),
  )
}

function valuesOf(table: Table, name: string): ParquetValue[] {
  const column = table.getChild(name)
  if (!column) throw new Error(`there is no column ${name}`)
  return column.data.flatMap((data): ParquetValue[] => {
    const { values, length } = data
    // Arrow would give times as milliseconds, and text decodes by its own vector only.
    if (!(values instanceof BigInt64Array)) return [...new Vector([data])] as ParquetValue[]
    return Array.from({ length }, (_, i) => (data.getValid(i) ? (values[i] as bigint) : null))
  })
}

type Footer = ReturnType<ReturnType<wasm.ParquetFile['metadata']>['fileMetadata']>

async function decode(
  content: Content,
  columns: readonly string[] | undefined,
  onBatch: (table: Table) => void | Promise<void>,
  onFooter?: (footer: Footer) => void,
): Promise<void> {
  const failed = Promise.withResolvers<never>()
  const work = async () => {
    const file = await loadWasm().ParquetFile.fromFile(toBlob(content, failed.reject))
    try {
      onFooter?.(file.metadata().fileMetadata())
      const only = columns ? { columns: [...columns] } : {}
      const batches = await file.stream({ ...only, batchSize: columns ? 65_536 : 8192 })
      for await (const batch of batches as AsyncIterable<wasm.RecordBatch>) {
        await onBatch(tableFromIPC(batch.intoIPCStream()))
      }
    } finally {
      file.free()
    }
  }
  await Promise.race([failed.promise, work()])
}

/** A Blob as far as the wasm uses it. */
function toBlob(content: Content, fail: (error: unknown) => void): Blob {
  const arrayBuffer = async (from: number, to: number) => {
    try {
      const bytes = await collect(content.chunks({ from, to }))
      // In memory of its own: a small Buffer lies in the shared pool of Node.
      return new Uint8Array(bytes).buffer
    } catch (error) {
      fail(error)
      return new Promise<never>(() => {})
    }
  }
  const slice = (from: number, to: number) => ({ arrayBuffer: () => arrayBuffer(from, to) })
  return { size: content.bytes, slice } as unknown as Blob
}

function addTimes(facts: ParquetFacts, table: Table, timeColumn: string): void {
  for (const column of table.schema.fields) {
    if (table.getChild(column.name)?.length !== table.numRows) {
      throw new Error(`column ${column.name} does not have ${table.numRows} values`)
    }
  }
  for (const data of table.getChild(timeColumn)?.data ?? []) {
    facts.rows += data.length
    const values = data.values as BigInt64Array
    for (let i = 0; i < data.length; i++) {
      if (data.nullCount > 0 && !data.getValid(i)) continue
      const value = values[i] as bigint
      if (facts.min === undefined || value < facts.min) facts.min = value
      if (facts.max === undefined || value > facts.max) facts.max = value
    }
  }
}
