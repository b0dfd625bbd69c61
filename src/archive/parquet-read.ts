import { tableFromIPC } from 'apache-arrow'
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
  /** Least and greatest time, microseconds since 1970; undefined when there is no row. */
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
  const failed = Promise.withResolvers<never>()
  return Promise.race([failed.promise, decode(toBlob(content, failed.reject), timeColumn, deep)])
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

async function decode(blob: Blob, timeColumn: string, deep: boolean): Promise<ParquetFacts> {
  const file = await loadWasm().ParquetFile.fromFile(blob)
  try {
    const footer = file.metadata().fileMetadata()
    const facts: ParquetFacts = {
      claimed: footer.numRows(),
      rows: 0,
      min: undefined,
      max: undefined,
      about: footer.keyValueMetadata() as Map<string, string>,
    }
    const only = deep ? {} : { columns: [timeColumn] }
    const batches = await file.stream({ ...only, batchSize: deep ? 8192 : 65_536 })
    for await (const batch of batches as AsyncIterable<wasm.RecordBatch>) {
      addTimes(facts, batch, timeColumn)
    }
    return facts
  } finally {
    file.free()
  }
}

function addTimes(facts: ParquetFacts, batch: wasm.RecordBatch, timeColumn: string): void {
  const table = tableFromIPC(batch.intoIPCStream())
  for (const column of table.schema.fields) {
    if (table.getChild(column.name)?.length !== table.numRows) {
      throw new Error(`column ${column.name} does not have ${table.numRows} values`)
    }
  }
  for (const { length, values } of table.getChild(timeColumn)?.data ?? []) {
    facts.rows += length
    for (const value of values as BigInt64Array) {
      if (facts.min === undefined || value < facts.min) facts.min = value
      if (facts.max === undefined || value > facts.max) facts.max = value
    }
  }
}
