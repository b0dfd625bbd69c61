import { isUtf8 } from 'node:buffer'

/*
 * Protobuf, as far as to tell a whole message from bytes that are none: the reader of OpenTelemetry takes a torn one for an
 * empty one, which would mean that all spans were taken.
 */

/** Wire types: a number, 8 bytes, bytes with their length, 4 bytes. Groups are of times long before OTLP. */
const [varint, fixed64, delimited, fixed32] = [0, 1, 2, 5]

/** What is known of the fields of a message, by their numbers. */
type Shape = { messages?: Readonly<Record<number, Shape>>; texts?: readonly number[] }

/** True for fields that end where the message ends, and texts that are UTF-8. */
export function isWholeMessage(bytes: Uint8Array, shape: Shape = {}): boolean {
  let at = 0
  while (at < bytes.length) {
    const tag = readVarint(bytes, at)
    if (!tag || tag.value < 8) return false
    const [field, type] = [Math.floor(tag.value / 8), tag.value % 8]
    const end = endOfField(bytes, tag.end, type)
    if (end === undefined || end > bytes.length) return false
    const inner = shape.messages?.[field]
    const isText = shape.texts?.includes(field)
    if (inner || isText) {
      const length = readVarint(bytes, tag.end)
      if (type !== delimited || !length) return false
      const value = bytes.subarray(length.end, end)
      if (inner && !isWholeMessage(value, inner)) return false
      if (isText && !isUtf8(value)) return false
    }
    at = end
  }
  return true
}

function endOfField(bytes: Uint8Array, at: number, type: number): number | undefined {
  if (type === fixed64) return at + 8
  if (type === fixed32) return at + 4
  const number = type === varint || type === delimited ? readVarint(bytes, at) : undefined
  return number && (type === varint ? number.end : number.end + number.value)
}

/** A number of up to 10 bytes; those beyond 2^53 are only as exact as a double. */
function readVarint(bytes: Uint8Array, from: number): { value: number; end: number } | undefined {
  let value = 0
  for (let at = from; at < Math.min(bytes.length, from + 10); at++) {
    const byte = bytes[at] ?? 0
    value += (byte % 128) * 128 ** (at - from)
    if (byte < 128) return { value, end: at + 1 }
  }
  return undefined
}
