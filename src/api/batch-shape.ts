import { AppError } from '../core/errors.ts'
import { type Item, wantedShape } from './read-batch.ts'

/*
 * A body that holds no events at all, for example {"events": [...]}: its sender has to be told so, and
 * not event by event. Nothing of it was taken.
 */

/** What makes an object an event, whatever is wrong with it. */
const eventFields = ['idempotency_key', 'site_id', 'app', 'entity', 'event']

const fieldOfList = /^\s*\{\s*"((?:[^"\\]|\\.)*)"\s*:\s*\[/

/**
 * The reason why an item that was refused is no event, and what to send instead; undefined when it is
 * one with a fault.
 *
 * @param text the text of the item
 */
export function explainShape(item: Item, text: string): string | undefined {
  if ('detail' in item) {
    const list = fieldOfList.exec(text.slice(0, 1000))?.[1]
    if (list !== undefined && !eventFields.includes(list)) return sendList(list)
    return item.unreadable ? item.detail : undefined
  }
  const { input } = item
  if (Array.isArray(input)) return 'send the events of an inner list by themselves'
  // What is no double is a symbol here; see parseJson.
  if (typeof input === 'symbol') return 'a number is not an event'
  if (typeof input !== 'object' || input === null) return `${JSON.stringify(input)} is not an event`
  if (eventFields.some((name) => Object.hasOwn(input, name))) return undefined
  const list = Object.entries(input).find(([, value]) => Array.isArray(value))?.[0]
  return list === undefined ? `an event has ${eventFields.join(', ')}` : sendList(list)
}

const sendList = (name: string) => `send the list in ${JSON.stringify(name)} by itself`

/** Counts the items of a batch that are no events. */
export class Shapes {
  #count = 0
  #first: string | undefined

  /** @param why as {@link explainShape} says it */
  add(why: string | undefined): void {
    if (why === undefined) return
    this.#count++
    this.#first ??= why.slice(0, 200)
  }

  /** @throws AppError invalid, when none of so many items is an event */
  assertEvents(total: number): void {
    if (this.#count === 0 || this.#count < total) return
    throw new AppError('invalid', `${wantedShape}; ${this.#first}`)
  }
}
