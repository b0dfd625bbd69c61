import type { Refusal } from '../core/describe-fault.ts'
import { AppError } from '../core/errors.ts'
import {
  type Cut,
  cutArray,
  cutLines,
  cutObject,
  type Fault,
  findHuge,
} from '../core/item-texts.ts'
import { isPlain, parseJson } from '../core/json.ts'
import type { EventLimits } from '../core/read-event.ts'

/** The items of a request, not parsed yet. */
export type Batch = {
  text: string
  cuts: readonly Cut[]
  /** A line that is not JSON fails alone; in an array nothing is certain any more. */
  isLines: boolean
  /** True when no item has text that can hold NUL or half of a surrogate pair. */
  isPlain: boolean
}

/** An item as parsed, with its text; or why it cannot be. */
export type Item = { input: unknown; text: string; plain: boolean } | Unread

export type BatchLimits = EventLimits & { maxBatchItems: number }

/** `unreadable`: it is not JSON. */
export type Unread = Refusal & { unreadable?: true }

/**
 * Cuts a JSON array, or NDJSON with one event a line, or a JSON text sequence. One object, however many
 * lines it has, is one event.
 *
 * @throws AppError unreadable, invalid or too_large
 */
export function readBatch(text: string, contentType: string, limits: BatchLimits): Batch {
  const begin = text.trimStart()[0]
  if (begin === undefined)
    throw new AppError('unreadable', 'the body is empty; send a JSON array or NDJSON')
  const isLines = /ndjson|jsonl|json-seq/i.test(contentType) || begin === '{' || begin === '\x1e'
  if (!isLines && begin !== '[') refuseOther(text)
  const cuts = isLines ? cutObjects(text, limits) : cutArray(text, limits.maxBatchItems)
  return { text, cuts, isLines, isPlain: isPlain(text) }
}

/** One object over all lines, or one on each; a line that was cut off never takes the others along. */
function cutObjects(text: string, limits: BatchLimits): readonly Cut[] {
  const whole = cutObject(text)
  const isOne = whole?.every((cut) => !holdsLines(text, cut) || isOneEvent(text, cut, limits))
  return whole && isOne ? whole : cutLines(text, limits.maxBatchItems)
}

const holdsLines = (text: string, { start, end }: Cut) => {
  const feed = text.indexOf('\n', start)
  return feed !== -1 && feed < end
}

/** Of what is too large to be parsed, lines that begin with an object tell. */
function isOneEvent(text: string, cut: Cut, limits: EventLimits): boolean {
  if (refuseHuge(text, cut, limits)) return !text.includes('\n{')
  try {
    parseJson(text.slice(cut.start, cut.end))
    return true
  } catch {
    return false
  }
}

export const wantedShape = 'must be a JSON array of events, or NDJSON with one event per line'

/** @throws AppError always: unreadable for what is not JSON, invalid for what is */
function refuseOther(text: string): never {
  if (text.length < 100_000) parseJson(text)
  throw new AppError('invalid', wantedShape)
}

/** @throws AppError unreadable, for an item of an array that is not JSON */
export function readItem(batch: Batch, index: number, limits: EventLimits): Item {
  const cut = batch.cuts[index] as Cut
  const refusal = refuseHuge(batch.text, cut, limits)
  if (refusal) return refusal
  const text = batch.text.slice(cut.start, cut.end)
  try {
    const input = parseJson(text, batch.isLines ? 0 : cut.start)
    return { input, text, plain: batch.isPlain || isPlain(text) }
  } catch (error) {
    if (!batch.isLines) throw error
    const detail = (error as Error).message.replace('the body', 'the line')
    return { field: '', detail, unreadable: true }
  }
}

/** Of an event as written, compared to its normal form: numbers may have zeros at their ends. */
const mostPadding = 4

/** @returns the refusal of an event that is not worth parsing */
export function refuseHuge(
  text: string,
  cut: Cut,
  { maxEventBytes }: EventLimits,
): Refusal | undefined {
  const fault = findHuge(text, cut, mostPadding * maxEventBytes)
  return fault && { field: '', detail: details[fault](maxEventBytes) }
}

const details: Record<Fault, (maxBytes: number) => string> = {
  large: (maxBytes) => `the event must be at most ${maxBytes} bytes as JSON`,
  deep: () => 'is nested too deeply; keep it to 32 levels',
}
