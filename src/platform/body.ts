import { isAscii } from 'node:buffer'
import type { IncomingMessage } from 'node:http'
import { promisify } from 'node:util'
import { gunzip, zstdDecompress } from 'node:zlib'
import { AppError } from '../core/errors.ts'

const unzip = promisify(gunzip)
const unzstd = promisify(zstdDecompress)

export type BodyLimits = {
  /** Maximum size of a body as sent, in bytes. */
  maxBytes: number
  /** Maximum size of a body once decompressed, in bytes. */
  maxDecompressedBytes: number
  /** Maximum time for the body to arrive, in milliseconds. */
  readTimeoutMs: number
}

/**
 * Reads a request's body as text: collected under a size and a time limit, decompressed (gzip,
 * zstd) under a limit of its own, and decoded as strict UTF-8.
 *
 * @throws AppError too_large, unsupported_encoding, or unreadable
 */
export async function readBody(request: IncomingMessage, limits: BodyLimits): Promise<string> {
  const encoding = (request.headers['content-encoding'] ?? 'identity').trim().toLowerCase()
  if (!['identity', 'gzip', 'x-gzip', 'zstd'].includes(encoding)) {
    throw new AppError(
      'unsupported_encoding',
      'Content-Encoding must be gzip, zstd or identity; send the body in one of them',
      { field: 'content-encoding' },
    )
  }
  if (Number(request.headers['content-length'] ?? 0) > limits.maxBytes) {
    throw tooLarge(limits.maxBytes)
  }
  const raw = await collect(request, limits)
  return decode(
    encoding === 'identity' ? raw : await decompress(raw, encoding, limits.maxDecompressedBytes),
  )
}

/** Straight from Node's stream: what the web's streams put between costs more than the reading. */
function collect(request: IncomingMessage, limits: BodyLimits): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    let size = 0
    const onData = (chunk: Buffer) => {
      size += chunk.length
      if (size > limits.maxBytes) fail(tooLarge(limits.maxBytes))
      else chunks.push(chunk)
    }
    const onEnd = () => {
      stop()
      resolve(chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks, size))
    }
    const onClose = () => fail(cutOff())
    const fail = (error: AppError) => {
      stop()
      reject(error)
    }
    const timer = setTimeout(() => fail(tooSlow()), limits.readTimeoutMs)
    const stop = () => {
      clearTimeout(timer)
      request.off('data', onData).off('end', onEnd).off('error', onClose).off('close', onClose)
    }
    request.on('data', onData).on('end', onEnd).on('error', onClose).on('close', onClose)
    // One that was cut off before it got here says nothing more.
    if (request.destroyed) onClose()
  })
}

async function decompress(raw: Buffer, encoding: string, maxBytes: number): Promise<Buffer> {
  try {
    const options = { maxOutputLength: maxBytes }
    return encoding === 'zstd' ? await unzstd(raw, options) : await unzip(raw, options)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE') {
      throw new AppError(
        'too_large',
        `the decompressed body is over ${maxBytes} bytes; send fewer events per request`,
      )
    }
    throw new AppError(
      'unreadable',
      `the body is not ${encoding}, although Content-Encoding says so`,
      {
        field: 'content-encoding',
      },
    )
  }
}

const utf8 = new TextDecoder('utf-8', { fatal: true })

function decode(bytes: Buffer): string {
  // Nearly every body is, and then neither a check nor two-byte text is needed.
  if (isAscii(bytes)) return bytes.toString('latin1')
  try {
    return utf8.decode(bytes)
  } catch {
    throw new AppError('unreadable', 'the body is not UTF-8; encode the JSON as UTF-8')
  }
}

const cutOff = () =>
  new AppError('unreadable', 'the body ended before it was complete; send it again')

const tooSlow = () => new AppError('unreadable', 'the body took too long to arrive')

const tooLarge = (maxBytes: number) =>
  new AppError('too_large', `the body is over ${maxBytes} bytes; send fewer events per request`)
