import { createHash } from 'node:crypto'
import { ensure } from '../../core/must.ts'
import type { ByteRange, Content } from './place.ts'

/** The whole range of a content, unless one is given. @throws ContractError outside of it */
export function toRange({ bytes }: Pick<Content, 'bytes'>, range?: ByteRange): ByteRange {
  const { from, to } = range ?? { from: 0, to: bytes }
  ensure(0 <= from && from <= to && to <= bytes, `${from} to ${to} lies outside of ${bytes} bytes`)
  return { from, to }
}

/** All bytes in memory; for small contents. */
export async function collect(chunks: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const parts: Uint8Array[] = []
  for await (const chunk of chunks) parts.push(chunk)
  return Buffer.concat(parts)
}

/** A text as chunks. */
export async function* textChunks(text: string): AsyncGenerator<Uint8Array> {
  yield Buffer.from(text)
}

export type Fingerprint = { bytes: number; sha256: string }

/** Size and hash of a content, counted over the bytes as they are read. */
export async function readFingerprint(content: Content): Promise<Fingerprint> {
  const hash = createHash('sha256')
  let bytes = 0
  for await (const chunk of content.chunks()) {
    hash.update(chunk)
    bytes += chunk.byteLength
  }
  return { bytes, sha256: hash.digest('hex') }
}
