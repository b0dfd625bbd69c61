import { openAsBlob, readFileSync } from 'node:fs'
import { Field, RecordBatch, Schema, Table, tableFromIPC, tableToIPC } from 'apache-arrow'
import * as wasm from 'parquet-wasm/esm'
import wasmPath from 'parquet-wasm/esm/parquet_wasm_bg.wasm'
import type { ArchiveColumn, ArchiveRow, ArchiveType } from '../store/archive.ts'
import { arrowType, batchData } from './arrow.ts'

/*
 * Parquet out of and into a stream. What was learnt by trying parquet-wasm 0.8:
 *
 * - A source that throws ends the file as if it had ended: a shorter file, whole and valid, and no
 *   error. So the source never throws here; what went wrong is kept and thrown at the end.
 * - Without a single batch it fails ("Dyn casting error"): an empty file is never asked for.
 * - A page that was changed on disk is read without complaint (there are no page checksums): what
 *   protects a file is its SHA-256.
 */

let ready = false

/** The wasm is loaded once, when the first file is written or read. */
function load(): typeof wasm {
  if (!ready) wasm.initSync({ module: readFileSync(new URL(wasmPath, import.meta.url)) })
  ready = true
  return wasm
}

/** Rows of a row group, and the bytes at which one ends early. */
const group = { rows: 100_000, bytes: 64 * 2 ** 20 }

/**
 * Rows as Parquet bytes: zstd, page statistics, times delta-packed and floats split into streams of
 * bytes (40 % smaller than plain, and quicker).
 *
 * @param batches at least one; one at a time is in memory
 * @param about key-value metadata of the file
 * @throws what `batches` throws: the bytes that came before are no use then
 */
export async function* parquetBytes(
  columns: readonly ArchiveColumn[],
  batches: AsyncIterable<ArchiveRow[]>,
  about: Map<string, string>,
): AsyncGenerator<Uint8Array> {
  const parquet = load()
  const rows = batches[Symbol.asyncIterator]()
  const state: { failure?: { error: unknown }; over: boolean } = { over: false }
  const encode = encoder(columns)
  const source = new ReadableStream(
    {
      async pull(controller) {
        try {
          const next = state.over ? { done: true as const } : await rows.next()
          if (next.done) controller.close()
          else controller.enqueue(encode(next.value))
        } catch (error) {
          state.failure = { error }
          controller.close()
        }
      },
    },
    { highWaterMark: 0 },
  )
  const out = (await parquet.transformParquetStream(source, properties(columns, about))).getReader()
  try {
    for (;;) {
      const { done, value } = await out.read()
      if (state.failure) throw state.failure.error
      if (done) return
      yield value
    }
  } finally {
    state.over = true
    await drained(out)
  }
}

/** To its end, at once: what is left half read would stay in the memory of the wasm for good. */
async function drained(out: ReadableStreamDefaultReader<Uint8Array>): Promise<void> {
  try {
    while (!(await out.read()).done);
  } catch {
    // It failed by itself; there is nothing left in it.
  }
}

/** Turns rows into a batch in the memory of the wasm, by way of Arrow's stream format. */
function encoder(columns: readonly ArchiveColumn[]): (rows: ArchiveRow[]) => unknown {
  const schema = new Schema(columns.map(({ name, type }) => new Field(name, arrowType(type), true)))
  return (rows) => {
    const batch = new RecordBatch(schema, batchData(schema, columns, rows))
    const table = load().Table.fromIPCStream(tableToIPC(new Table([batch]), 'stream'))
    const inWasm = table.recordBatch(0)
    table.free()
    return inWasm
  }
}

function properties(
  columns: readonly ArchiveColumn[],
  about: Map<string, string>,
): wasm.WriterProperties {
  let builder = new wasm.WriterPropertiesBuilder()
    .setWriterVersion(wasm.WriterVersion.V2)
    .setCompression(wasm.Compression.ZSTD)
    .setMaxRowGroupSize(group.rows)
    .setMaxRowGroupBytes(group.bytes)
    .setStatisticsEnabled(wasm.EnabledStatistics.Page)
    .setCreatedBy('wafermon')
    .setKeyValueMetadata(about)
  for (const { name, type } of columns) {
    const encoding = encodings[type]
    if (encoding === undefined) continue
    builder = builder.setColumnDictionaryEnabled(name, false).setColumnEncoding(name, encoding)
  }
  return builder.build()
}

const encodings: Partial<Record<ArchiveType, wasm.Encoding>> = {
  time: wasm.Encoding.DELTA_BINARY_PACKED,
  float: wasm.Encoding.BYTE_STREAM_SPLIT,
}

/** What a file says of itself, and what its time column really holds. */
export type ReadBack = {
  claimed: number
  rows: number
  /** Least and greatest time, microseconds since 1970; undefined when there is no row. */
  min: bigint | undefined
  max: bigint | undefined
  about: Map<string, string>
}

/**
 * Reads a file back: the rows that its footer claims, and its time column decoded. `deep` decodes
 * every other column as well.
 *
 * @throws when it is no whole Parquet file, or a column does not have a value for every row
 */
export async function readBack(path: string, timeColumn: string, deep = false): Promise<ReadBack> {
  const file = await load().ParquetFile.fromFile(await openAsBlob(path))
  try {
    const footer = file.metadata().fileMetadata()
    const found: ReadBack = {
      claimed: footer.numRows(),
      rows: 0,
      min: undefined,
      max: undefined,
      about: footer.keyValueMetadata() as Map<string, string>,
    }
    const only = deep ? {} : { columns: [timeColumn] }
    const batches = await file.stream({ ...only, batchSize: deep ? 8192 : 65_536 })
    for await (const batch of batches as AsyncIterable<wasm.RecordBatch>) {
      addTimes(found, batch, timeColumn)
    }
    return found
  } finally {
    file.free()
  }
}

function addTimes(found: ReadBack, batch: wasm.RecordBatch, timeColumn: string): void {
  const table = tableFromIPC(batch.intoIPCStream())
  for (const column of table.schema.fields) {
    if (table.getChild(column.name)?.length !== table.numRows) {
      throw new Error(`column ${column.name} does not have ${table.numRows} values`)
    }
  }
  for (const { length, values } of table.getChild(timeColumn)?.data ?? []) {
    found.rows += length
    for (const value of values as BigInt64Array) {
      if (found.min === undefined || value < found.min) found.min = value
      if (found.max === undefined || value > found.max) found.max = value
    }
  }
}
