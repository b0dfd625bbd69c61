import type { AsyncBuffer } from 'hyparquet'
import { collect, toRange } from '../places/content.ts'
import type { ByteRange, Content } from '../places/place.ts'

/*
 * The bytes of a Parquet file for hyparquet, which asks for each column and each index by itself: against a store in a
 * network that would be sixty requests for a row group. So what will be asked for is fetched first, in few pieces.
 */

/** A file up to this size is fetched whole; of a larger one its end, where the footer and the indexes are. */
const bytes = { whole: 2 ** 20, end: 2 ** 18 }
/** Two ranges with less than this between them are fetched as one. */
const maxGap = 2 ** 18

type Piece = ByteRange & { bytes: Buffer }

export class ParquetBytes implements AsyncBuffer {
  readonly byteLength: number
  readonly #content: Content
  #end: Piece | undefined
  #held: Piece[] = []

  constructor(content: Content) {
    this.#content = content
    this.byteLength = content.bytes
  }

  /** How many bytes from the end are fetched to find the footer. */
  get endBytes(): number {
    return this.byteLength <= bytes.whole ? this.byteLength : bytes.end
  }

  /** Fetches ranges, which then cost nothing; those of the call before are forgotten. */
  async hold(ranges: readonly ByteRange[]): Promise<void> {
    this.#held = []
    const wanted = ranges.filter((range) => !isWithin(range, this.#end))
    this.#held = await Promise.all(joinClose(wanted).map((range) => this.#fetch(range)))
  }

  async slice(from: number, to = this.byteLength): Promise<ArrayBuffer> {
    const range = toRange({ bytes: this.byteLength }, { from, to })
    const piece = [...this.#held, this.#end].find((one) => isWithin(range, one))
    if (piece) return copy(piece.bytes.subarray(from - piece.from, to - piece.from))
    const fetched = await this.#fetch(range)
    if (to === this.byteLength) this.#end = fetched
    return copy(fetched.bytes)
  }

  async #fetch(range: ByteRange): Promise<Piece> {
    return { ...range, bytes: await collect(this.#content.chunks(range)) }
  }
}

const isWithin = ({ from, to }: ByteRange, piece: ByteRange | undefined): piece is Piece =>
  piece !== undefined && piece.from <= from && to <= piece.to

/** In memory of its own, as a small Buffer is not. */
const copy = (part: Uint8Array): ArrayBuffer => new Uint8Array(part).buffer

function joinClose(ranges: readonly ByteRange[]): ByteRange[] {
  const joined: ByteRange[] = []
  for (const range of [...ranges].sort((a, b) => a.from - b.from)) {
    const last = joined.at(-1)
    if (last && range.from <= last.to + maxGap) last.to = Math.max(last.to, range.to)
    else joined.push({ ...range })
  }
  return joined
}
