import { createHash, randomUUID } from 'node:crypto'
import { nowUs } from './clock.ts'

const uuidForm = /^[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}$/i

/** True for anything of the form of a UUID, whatever its version: ids made by hand count. */
export function isUuid(value: unknown): value is string {
  return typeof value === 'string' && uuidForm.test(value)
}

/** Of the ids that this SDK derives from names: uuid5(DNS, 'sdk.wafermon'). Fixed forever. */
const namespace = Buffer.from('a77fdb9018c65354812cf88d35cc8284', 'hex')

/** The name-based UUID (version 5) of `name`: the same name, the same id. */
export function uuidV5(name: string): string {
  const hex = createHash('sha1').update(namespace).update(name).digest('hex')
  const variant = '89ab'[Number(`0x${hex[16]}`) & 3]
  const last = `${variant}${hex.slice(17, 20)}-${hex.slice(20, 32)}`
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-5${hex.slice(13, 16)}-${last}`
}

let lastMs = 0
let counter = 0

/**
 * A time-ordered UUID (version 7). Ids of one process are strictly increasing: 12 bits count
 * within a millisecond, and an overflow borrows the next one. The random half comes from
 * `randomUUID`, whose variant bits already stand in the right place.
 */
export function uuidV7(atMs: number = Math.floor(nowUs() / 1000)): string {
  if (atMs > lastMs) {
    lastMs = atMs
    counter = 0
  } else if (++counter > 0xfff) {
    lastMs++
    counter = 0
  }
  const time = lastMs.toString(16).padStart(12, '0')
  const count = counter.toString(16).padStart(3, '0')
  return `${time.slice(0, 8)}-${time.slice(8)}-7${count}${randomUUID().slice(18)}`
}

/** The id of an app that gave none: from its name alone, so that it is the same in every run. */
export function deriveAppId(name: string): string {
  return uuidV5(`app:${name}`)
}
