import type { Event } from './event.ts'
import { isTick } from './event.ts'

/*
 * The number by which a job remembers an event whose raw row is gone: 52 bits of a hash of its
 * identity, and above them a bit for ticks. So the least numbers of a job are those of its starts, ends
 * and errors, and a number is still a whole number to JavaScript.
 *
 * Part of what is stored: changing it would make every job forget its events. No secret: who can send
 * an event of a job can end it as well.
 */

/** Added to the number of a tick: they come after all others. */
export const tickBit = 2 ** 52

/** @param at as the store keeps it, in canonical form */
export function hashEvent({ idempotency_key: key, event: { kind, at } }: Event): number {
  return hashIdentity(at, key) + (isTick(kind) ? tickBit : 0)
}

/** The number without the bit for ticks. */
export function hashIdentity(at: string, key: string): number {
  let a = 0xdeadbeef
  let b = 0x41c6ce57
  for (const text of [at, key]) {
    for (let i = 0; i < text.length; i++) {
      const unit = text.charCodeAt(i)
      a = Math.imul(a ^ unit, 2654435761)
      b = Math.imul(b ^ unit, 1597334677)
    }
  }
  a = mix(a) ^ Math.imul(b ^ (b >>> 13), 3266489909)
  b = mix(b) ^ Math.imul(a ^ (a >>> 13), 3266489909)
  return 2 ** 32 * (b & 0xf_ffff) + (a >>> 0)
}

const mix = (bits: number) => Math.imul(bits ^ (bits >>> 16), 2246822507)
