import { Field, RecordBatch, Schema, Table, tableToIPC } from 'apache-arrow'
import * as wasm from 'parquet-wasm/esm'
import type { ArchiveColumn, ArchiveRow, ArchiveType } from '../store/archive/columns.ts'
import { arrowType, batchData } from './arrow.ts'
import { loadWasm } from './parquet-wasm.ts'

/*
 * Rows as a stream of Parquet. Observed with parquet-wasm 0.8:
 *
 * - A source that throws ends the file as if it had ended: a shorter file, whole and valid, and no
 *   error. So the source never throws here; its error is kept and thrown at the end.
 * - Without a single batch it fails ("Dyn casting error"): an empty file is never written.
 */

/** Rows of a row group, and the bytes at which one ends early. */
const group = { rows: 100_000, bytes: 64 * 2 ** 20 }

/**
 * Rows as Parquet bytes: zstd, page statistics, times delta-packed and floats split into streams of
 * bytes (40 % smaller than plain, and faster).
 *
 * @param batches at least one; one at a time is in memory
 * @param about key-value metadata of the file
 * @throws what `batches` throws: the bytes that came before are of no use then
 */
export async function* parquetBytes(
  columns: readonly ArchiveColumn[],
  batches: AsyncIterable<ArchiveRow[]>,
  about: Map<string, string>,
): AsyncGenerator<Uint8Array> {
  const parquet = loadWasm()
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

/** Reads on to the end: what is left half read would stay in the memory of the wasm forever. */
async function drained(out: ReadableStreamDefaultReader<Uint8Array>): Promise<void> {
  try {
    while (!(await out.read()).done);
  } catch {
    // It has failed already; nothing is left in it.
  }
}

/** Turns rows into a batch in the memory of the wasm, by way of Arrow's stream format. */
function encoder(columns: readonly ArchiveColumn[]): (rows: ArchiveRow[]) => unknown {
  const schema = new Schema(columns.map(toField))
  return (rows) => {
    const batch = new RecordBatch(schema, batchData(schema, columns, rows))
    const table = loadWasm().Table.fromIPCStream(tableToIPC(new Table([batch]), 'stream'))
    const inWasm = table.recordBatch(0)
    table.free()
    return inWasm
  }
}

/** With the number of the column, by which readers bind old and new files alike. */
const toField = ({ fieldId, name, type }: ArchiveColumn) =>
  new Field(name, arrowType(type), true, new Map([['PARQUET:field_id', String(fieldId)]]))

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
