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

/**
 * Reads the columns of `names` as rows, in batches of about as many rows as fit some MiB. A column that the file does not
 * have, because it is older, is null in every row.
 *
 * @param bytesARow of the file, compressed
 * @throws as {@link readParquet}, and when the file has a column besides
 */
export async function* readParquetRows(
  content: Content,
  names: readonly string[],
  bytesARow: number,
): AsyncGenerator<ParquetValue[][]> {
  const batchSize = Math.max(64, Math.min(8192, Math.floor(rowBytes / Math.max(1, bytesARow))))
  for await (const table of readTables(content, { batchSize })) {
    const unknown = table.schema.fields.find(({ name }) => !names.includes(name))
    if (unknown) throw new Error(`there is a column ${unknown.name}, which this version lacks`)
    const columns = names.map((name) =>
      table.getChild(name) ? valuesOf(table, name) : new Array<null>(table.numRows).fill(null),
    )
    yield Array.from({ length: table.numRows }, (_, row) =>
      columns.map((values) => values[row] as ParquetValue),
    )
  }
}

/** Compressed bytes in a batch of rows; text takes about ten times as much in memory. */
const rowBytes = 2 ** 19

type Footer = ReturnType<ReturnType<wasm.ParquetFile['metadata']>['fileMetadata']>

async function decode(
  content: Content,
  columns: readonly string[] | undefined,
  onBatch: (table: Table) => void | Promise<void>,
  onFooter?: (footer: Footer) => void,
): Promise<void> {
  const shape = columns ? { columns, batchSize: 65_536 } : { batchSize: 8192 }
  for await (const table of readTables(content, { ...shape, onFooter })) await onBatch(table)
}

type Asked = {
  /** All of them, unless given. */
  columns?: readonly string[]
  batchSize: number
  onFooter?: ((footer: Footer) => void) | undefined
}

async function* readTables(
  content: Content,
  { columns, batchSize, onFooter }: Asked,
): AsyncGenerator<Table> {
  const failed = Promise.withResolvers<never>()
  failed.promise.catch(() => {})
  const unlessFailed = <T>(work: Promise<T>) => Promise.race([failed.promise, work])
  let isStuck = false
  const fail = (error: unknown) => {
    isStuck = true
    failed.reject(error)
  }
  const file = await unlessFailed(loadWasm().ParquetFile.fromFile(toBlob(content, fail)))
  let batches: ReadableStreamDefaultReader<wasm.RecordBatch> | undefined
  try {
    onFooter?.(file.metadata().fileMetadata())
    const only = columns ? { columns: [...columns] } : {}
    const stream = (await unlessFailed(file.stream({ ...only, batchSize }))) as ReadableStream
    batches = stream.getReader()
    for (;;) {
      const { done, value } = await unlessFailed(batches.read())
      if (done) return
      yield tableFromIPC(value.intoIPCStream())
    }
  } finally {
    // While it waits for a range that failed, the file is in use and cannot be freed.
    if (!isStuck) {
      await batches?.cancel().catch(() => {})
      file.free()
    }
  }
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
