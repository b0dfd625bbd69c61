import { AppError } from '../core/errors.ts'

/*
 * Frames of zstd, RFC 8878 section 3.1: found by their headers and those of their blocks, without
 * unpacking anything. What Node is given then is one whole frame each time, because it stops at the
 * end of the first and says nothing of the rest.
 */

const magic = 0xfd2fb528
/** The last digit is free. */
const skippable = 0x184d2a50
/** RFC 9659: who sends zstd over HTTP may not need more. */
const maxWindow = 8 * 2 ** 20
/** Each is unpacked by itself, which takes some 50 microseconds. */
const maxFrames = 1000
const maxBlock = 128 * 1024

/** The frames with content, and the bytes that they have at most once unpacked. */
type Frames = { frames: Buffer[]; most: number }

/**
 * @param maxBytes maximum size once unpacked; a window may be as large
 * @throws AppError unreadable when a frame is cut off, needs a dictionary or too large a window, or
 * when anything else stands before, between or after the frames; too_large when they say so themselves
 */
export function readFrames(raw: Buffer, maxBytes: number): Frames {
  const frames: Buffer[] = []
  let most = 0
  for (let at = 0; at < raw.length; ) {
    const first = word(raw, at)
    if ((first & 0xfffffff0) >>> 0 === skippable) {
      at = within(raw, at + 8 + word(raw, at + 4))
      continue
    }
    if (first !== magic) throw notZstd(at)
    const frame = readFrame(raw, at, maxBytes)
    if (frames.push(raw.subarray(at, frame.end)) > maxFrames) {
      throw unreadable(`the body has over ${maxFrames} frames of zstd; send it as one`)
    }
    most += frame.most
    at = frame.end
  }
  if (frames.length === 0) throw unreadable('the body has no frame of zstd with content')
  return { frames, most }
}

type Frame = { end: number; most: number }

function readFrame(raw: Buffer, start: number, maxBytes: number): Frame {
  const header = readHeader(raw, start)
  if (header.window > Math.max(maxWindow, maxBytes)) {
    throw unreadable(`the body needs a zstd window over ${maxWindow} bytes; compress it with less`)
  }
  if (header.content !== undefined && header.content > maxBytes) {
    throw tooLargeUnpacked(maxBytes)
  }
  const blocks = readBlocks(raw, header.end, Math.min(maxBlock, header.window))
  const end = within(raw, blocks.end + (header.hasChecksum ? 4 : 0))
  return { end, most: Math.min(blocks.most, header.content ?? Infinity) }
}

type Header = { end: number; window: number; content: number | undefined; hasChecksum: boolean }

function readHeader(raw: Buffer, start: number): Header {
  const flags = byte(raw, start + 4)
  if (flags & 8) throw notZstd(start)
  if (flags & 3) throw unreadable('the body needs a zstd dictionary; compress it without')
  const single = (flags & 32) !== 0
  const at = start + (single ? 5 : 6)
  const size = [single ? 1 : 0, 2, 4, 8][flags >> 6] as number
  within(raw, at + size)
  const content = size === 0 ? undefined : readContent(raw, at, size)
  const window = single ? (content ?? 0) : readWindow(byte(raw, start + 5))
  return { end: at + size, window, content, hasChecksum: (flags & 4) !== 0 }
}

function readContent(raw: Buffer, at: number, size: number): number {
  if (size === 8) return Number(raw.readBigUInt64LE(at))
  return raw.readUIntLE(at, size) + (size === 2 ? 256 : 0)
}

function readWindow(descriptor: number): number {
  const base = 2 ** (10 + (descriptor >> 3))
  return base + (base / 8) * (descriptor & 7)
}

function readBlocks(raw: Buffer, start: number, maxSize: number): Frame {
  let most = 0
  for (let at = start; ; ) {
    within(raw, at + 3)
    const header = raw.readUIntLE(at, 3)
    const [isLast, kind, size] = [header & 1, (header >> 1) & 3, header >> 3]
    if (kind === reserved) throw notZstd(at)
    most += kind === compressed ? maxSize : size
    at = within(raw, at + 3 + (kind === repeated ? 1 : size))
    if (isLast) return { end: at, most }
  }
}

const [repeated, compressed, reserved] = [1, 2, 3]

function word(raw: Buffer, at: number): number {
  within(raw, at + 4)
  return raw.readUInt32LE(at)
}

function byte(raw: Buffer, at: number): number {
  within(raw, at + 1)
  return raw.readUInt8(at)
}

function within(raw: Buffer, end: number): number {
  if (end > raw.length) {
    throw unreadable('the body is not whole zstd: its last frame is cut off, or is not a frame')
  }
  return end
}

const notZstd = (at: number) =>
  unreadable(
    at === 0
      ? 'the body is not zstd, although Content-Encoding says so'
      : `the body has something other than zstd at byte ${at}; remove it`,
  )

const unreadable = (detail: string) =>
  new AppError('unreadable', detail, { field: 'content-encoding' })

export const tooLargeUnpacked = (maxBytes: number) =>
  new AppError(
    'too_large',
    `the decompressed body is over ${maxBytes} bytes; send fewer events per request`,
  )
