import {
  Bool,
  type Data,
  type DataType,
  Float64,
  Int64,
  makeData,
  type Schema,
  Struct,
  TimestampMicrosecond,
  Utf8,
} from 'apache-arrow'
import type { ArchiveColumn, ArchiveRow, ArchiveType } from '../store/archive/columns.ts'

/*
 * Rows as Arrow columns over typed arrays: Arrow's own builders take several times as long.
 * Ids and JSON are text, because parquet-wasm drops the logical types and readers would see bytes.
 */

const types: Record<ArchiveType, () => DataType> = {
  time: () => new TimestampMicrosecond('UTC'),
  id: () => new Utf8(),
  text: () => new Utf8(),
  json: () => new Utf8(),
  int: () => new Int64(),
  float: () => new Float64(),
  bool: () => new Bool(),
}

export const arrowType = (type: ArchiveType): DataType => types[type]()

/** The rows, with values in the order of the columns, as the data of one record batch. */
export function batchData(
  schema: Schema,
  columns: readonly ArchiveColumn[],
  rows: readonly ArchiveRow[],
): Data<Struct> {
  const children = columns.map(({ type }, i) => columnData(type, rows, i))
  return makeData({ type: new Struct(schema.fields), length: rows.length, nullCount: 0, children })
}

function columnData(type: ArchiveType, rows: readonly ArchiveRow[], i: number): Data {
  const { nullBitmap, nullCount } = nullsOf(rows, i)
  const shape = { type: arrowType(type), length: rows.length, nullCount, nullBitmap }
  // One call for all types: only valuesOf knows which buffers belong to which type.
  return makeData({ ...shape, ...valuesOf(type, rows, i) } as never)
}

function valuesOf(type: ArchiveType, rows: readonly ArchiveRow[], i: number) {
  if (type === 'float') return { data: Float64Array.from(rows, (row) => Number(row[i] ?? 0)) }
  if (type === 'bool') return { data: bits(rows, (row) => row[i] === true) }
  if (type === 'time' || type === 'int') {
    return { data: BigInt64Array.from(rows, (row) => BigInt((row[i] ?? 0) as number | bigint)) }
  }
  return textOf(rows, i)
}

function nullsOf(rows: readonly ArchiveRow[], i: number) {
  let nullCount = 0
  for (const row of rows) if (row[i] === null) nullCount++
  return { nullCount, nullBitmap: bits(rows, (row) => row[i] !== null) }
}

/** One bit a row, the first row in the lowest bit; padded to eight bytes. */
function bits(rows: readonly ArchiveRow[], isSet: (row: ArchiveRow) => boolean): Uint8Array {
  const packed = new Uint8Array(Math.ceil(rows.length / 64) * 8)
  for (const [n, row] of rows.entries()) if (isSet(row)) packed[n >> 3]! |= 1 << (n & 7)
  return packed
}

function textOf(rows: readonly ArchiveRow[], i: number) {
  let length = 0
  for (const row of rows) length += ((row[i] as string | null) ?? '').length
  // UTF-8 takes at most three bytes for each UTF-16 unit.
  const data = Buffer.allocUnsafe(length * 3)
  const valueOffsets = new Int32Array(rows.length + 1)
  let end = 0
  for (const [n, row] of rows.entries()) {
    const text = row[i] as string | null
    if (text) end += data.write(text, end, 'utf8')
    valueOffsets[n + 1] = end
  }
  return { data: new Uint8Array(data.buffer, data.byteOffset, end), valueOffsets }
}
