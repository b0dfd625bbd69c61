import { createHash } from 'node:crypto'
import type { S3Objects } from './s3-objects.ts'

/** Bytes of a part of an upload, and of what goes in one request. Stores take 5 MiB at least. */
export const partBytes = 8 * 2 ** 20

export type Uploaded = { bytes: number; sha256: string; small: Buffer | undefined }

/**
 * Writes a stream to a key of its own. One part is in memory at a time. Nothing is left of it when it fails.
 *
 * @returns `small`: the bytes, when they are one part at most
 */
export async function upload(
  objects: S3Objects,
  key: string,
  chunks: AsyncIterable<Uint8Array>,
): Promise<Uploaded> {
  const hash = createHash('sha256')
  let bytes = 0
  let small: Buffer | undefined
  const parts = inParts(chunks, (chunk) => {
    hash.update(chunk)
    bytes += chunk.byteLength
  })
  const first = await parts.next()
  const begin = first.done ? Buffer.alloc(0) : first.value
  if (begin.byteLength < partBytes) {
    await objects.put(key, begin)
    small = begin
  } else {
    await objects.putParts(key, begin, parts)
  }
  return { bytes, sha256: hash.digest('hex'), small }
}

/** The bytes in parts of the same size, but for the last. */
async function* inParts(
  chunks: AsyncIterable<Uint8Array>,
  see: (chunk: Uint8Array) => void,
): AsyncGenerator<Buffer> {
  let waiting: Uint8Array[] = []
  let size = 0
  for await (const chunk of chunks) {
    see(chunk)
    waiting.push(chunk)
    size += chunk.byteLength
    while (size >= partBytes) {
      const all = Buffer.concat(waiting)
      yield all.subarray(0, partBytes)
      waiting = [Buffer.from(all.subarray(partBytes))]
      size = all.byteLength - partBytes
    }
  }
  if (size > 0) yield Buffer.concat(waiting)
}
