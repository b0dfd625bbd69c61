import { zstdDecompressSync } from 'node:zlib'
import {
  type ColumnChunk,
  type FileMetaData,
  type ParquetScan,
  parquetMetadataAsync,
  parquetScan,
} from 'hyparquet'
import { must } from '../../core/must.ts'
import type { ArchiveColumn, ArchiveType } from '../../store/archive/columns.ts'
import type { ByteRange, Content } from '../places/place.ts'
import { ParquetBytes } from './parquet-bytes.ts'

/*
 * A Parquet file of the archive, read in plain JavaScript: it runs in any thread and keeps nothing outside of the object.
 * Observed with hyparquet 1.33:
 *
 * - Its own parsers cut microseconds and remove a byte order mark from the start of a text: so ours are given.
 * - Its filters compare text by UTF-16 and the file's statistics go by bytes: so we compare ourselves (conditions.ts).
 * - Values that are absent come as null or undefined.
 */

/** A value of a column as it is stored: a time is microseconds since 1970, a whole number a bigint. */
export type ParquetValue = string | bigint | number | boolean | null

/** The least and the greatest value of a column in a row group, and how many have none. */
export type ColumnStats = { min: ParquetValue; max: ParquetValue; nulls: number }

/** Rows of a file that lie together. `from` included, `to` not. */
export type RowGroup = { from: number; to: number; stats(column: string): ColumnStats | undefined }

const parsers = {
  timestampFromMicroseconds: (value: bigint) => value,
  stringFromBytes: (bytes: Uint8Array | undefined) =>
    bytes && Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8'),
}

const compressors = {
  // The length is that of the header: of a damaged one no more is unpacked.
  ZSTD: (input: Uint8Array, length: number) =>
    zstdDecompressSync(input, { maxOutputLength: Math.max(1, length) }),
}

const reading = { parsers, compressors, geoparquet: false }

/** What the physical type of a column is, by its type in the archive. */
const physical: Record<ArchiveType, string> = {
  ...{ time: 'INT64', int: 'INT64', float: 'DOUBLE', bool: 'BOOLEAN' },
  ...{ id: 'BYTE_ARRAY', text: 'BYTE_ARRAY', json: 'BYTE_ARRAY' },
}

/** Opens a file by its footer. @throws when it is no Parquet file, and what reading the content throws */
export async function openParquet(content: Content): Promise<ParquetFile> {
  const bytes = new ParquetBytes(content)
  if (bytes.byteLength < 12) throw new Error('is not a Parquet file: it is too short')
  const metadata = await parquetMetadataAsync(bytes, {
    ...reading,
    initialFetchSize: bytes.endBytes,
  })
  const scan = await parquetScan({ ...reading, file: bytes, metadata })
  return new ParquetFile(bytes, metadata, scan)
}

export class ParquetFile {
  readonly rows: number
  readonly groups: readonly RowGroup[]
  readonly #bytes: ParquetBytes
  readonly #metadata: FileMetaData
  readonly #scan: ParquetScan

  constructor(bytes: ParquetBytes, metadata: FileMetaData, scan: ParquetScan) {
    this.#bytes = bytes
    this.#metadata = metadata
    this.#scan = scan
    this.rows = Number(metadata.num_rows)
    let from = 0
    this.groups = metadata.row_groups.map(({ num_rows }, i) => {
      const group = { from, to: from + Number(num_rows), stats: this.#statsOf(i) }
      from = group.to
      return group
    })
    if (from !== this.rows) throw new Error(`has ${from} rows in its groups, not ${this.rows}`)
  }

  /** True when it has the column. @throws when the column is of another type */
  has({ name, type }: Pick<ArchiveColumn, 'name' | 'type'>): boolean {
    const found = this.#metadata.schema.find((element) => element.name === name && element.type)
    if (!found) return false
    const stored = `${found.type}`
    if (stored === physical[type]) return true
    throw new Error(`has a column ${name} of ${stored}, not of ${physical[type]}`)
  }

  /** Fetches some columns of a group, so that reading them, also by parts, costs no request each. */
  async hold(group: RowGroup, columns: readonly string[]): Promise<void> {
    const chunks = this.#chunksOf(group)
    await this.#bytes.hold(columns.flatMap((name) => rangesOf(chunkOf(chunks, name))))
  }

  /** The values of columns that it has, for rows of one group. */
  async read(
    rows: { from: number; to: number },
    columns: readonly string[],
  ): Promise<ArrayLike<ParquetValue | undefined>[]> {
    const range = { rowStart: rows.from, rowEnd: rows.to }
    return Promise.all(
      columns.map(async (column) => {
        const values = await this.#scan.readColumn({ column, ...range })
        if (values.length === rows.to - rows.from) return values as never
        throw new Error(`has ${values.length} values of ${column} in ${rows.to - rows.from} rows`)
      }),
    )
  }

  #statsOf(group: number) {
    return (column: string): ColumnStats | undefined => {
      const chunks = this.#metadata.row_groups[group]?.columns ?? []
      const { min_value, max_value, null_count } =
        chunkOf(chunks, column)?.meta_data?.statistics ?? {}
      if (min_value === undefined || max_value === undefined || null_count === undefined)
        return undefined
      return {
        min: min_value as ParquetValue,
        max: max_value as ParquetValue,
        nulls: Number(null_count),
      }
    }
  }

  #chunksOf(group: RowGroup): readonly ColumnChunk[] {
    const i = this.groups.indexOf(group)
    return must(this.#metadata.row_groups[i], 'the group is of this file').columns
  }
}

const chunkOf = (chunks: readonly ColumnChunk[], name: string) =>
  chunks.find(({ meta_data }) => meta_data?.path_in_schema[0] === name)

/** Where the values of a column lie, and the index of its pages. */
function rangesOf(chunk: ColumnChunk | undefined): ByteRange[] {
  const data = chunk?.meta_data
  if (!chunk || !data) return []
  const from = Number(data.dictionary_page_offset || data.data_page_offset)
  const ranges = [{ from, to: from + Number(data.total_compressed_size) }]
  const index = Number(chunk.offset_index_offset ?? 0)
  if (index > 0) ranges.push({ from: index, to: index + (chunk.offset_index_length ?? 0) })
  return ranges
}
