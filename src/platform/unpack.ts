import { promisify } from 'node:util'
import { gunzip, zstdDecompress } from 'node:zlib'
import { AppError } from '../core/errors.ts'
import { readFrames } from './zstd-frames.ts'

const unzip = promisify(gunzip)
const unzstd = promisify(zstdDecompress)

/** A compressed body before it is unpacked. */
export type Packed = {
  /** Its size once unpacked is at most this, in bytes: known without unpacking it. */
  readonly most: number
  /**
   * @param maxBytes maximum size of what is unpacked
   * @returns undefined when it is larger
   * @throws AppError unreadable, when it is damaged, cut off, or followed by anything else
   */
  unpack: (maxBytes: number) => Promise<Buffer | undefined>
}

/** A byte of deflate becomes at most this many. */
const mostOfDeflate = 1032

/**
 * A body of one or several members of gzip (RFC 1952) or frames of zstd (RFC 8878). All of them are
 * read. Zeros may pad the end of gzip, as tapes did, and zstd may hold frames that are to be skipped.
 *
 * @param maxBytes maximum size once unpacked
 * @throws AppError too_large or unreadable, where the frames say so by themselves
 */
export function toPacked(raw: Buffer, encoding: string, maxBytes: number): Packed {
  if (encoding !== 'zstd') {
    const most = Math.min(maxBytes, raw.length * mostOfDeflate)
    return { most, unpack: (maxBytes) => unpackGzip(raw, encoding, maxBytes) }
  }
  const { frames, most } = readFrames(raw, maxBytes)
  return {
    most: Math.min(maxBytes, most),
    unpack: (maxBytes) => unpackFrames(frames, maxBytes),
  }
}

async function unpackGzip(
  raw: Buffer,
  encoding: string,
  maxBytes: number,
): Promise<Buffer | undefined> {
  type Unpacked = { buffer: Buffer; engine: { bytesWritten: number } }
  const found = await orTooLarge(encoding, unzip(raw, { ...toOptions(maxBytes), info: true }))
  if (!found) return undefined
  const { buffer, engine } = found as unknown as Unpacked
  // Node stops at the first zero after a member, whatever follows.
  for (let i = engine.bytesWritten; i < raw.length; i++) {
    if (raw[i] !== 0) {
      throw unreadable(`the body has more after the gzip that ends at byte ${i}; remove it`)
    }
  }
  return buffer
}

/** One after the other: Node stops at the end of the first. */
async function unpackFrames(
  frames: readonly Buffer[],
  maxBytes: number,
): Promise<Buffer | undefined> {
  const parts: Buffer[] = []
  let left = maxBytes
  for (const frame of frames) {
    const part = await orTooLarge('zstd', unzstd(frame, toOptions(left)))
    if (!part || part.length > left) return undefined
    left -= part.length
    parts.push(part)
  }
  return parts.length === 1 ? parts[0] : Buffer.concat(parts)
}

/** Each chunk is a turn of the event loop: with Node's 16 KiB a large body takes thousands. */
const toOptions = (maxBytes: number) => ({
  maxOutputLength: Math.max(1, maxBytes),
  chunkSize: maxBytes > 2 ** 20 ? 2 ** 19 : 2 ** 14,
})

async function orTooLarge<T>(encoding: string, unpacked: Promise<T>): Promise<T | undefined> {
  try {
    return await unpacked
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE') return undefined
    throw unreadable(`the body is not ${encoding}, although Content-Encoding says so`)
  }
}

const unreadable = (detail: string) =>
  new AppError('unreadable', detail, { field: 'content-encoding' })
