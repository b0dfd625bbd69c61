import { AppError } from '../core/errors.ts'
import { cutItems } from '../core/item-texts.ts'
import { parseJson } from '../core/json.ts'

/** A line of NDJSON that is not JSON: it fails alone. */
export class BadLine {
  readonly detail: string
  constructor(detail: string) {
    this.detail = detail
  }
}

/** What a request holds: each item as parsed, and its text where it is known. */
export type Batch = { inputs: readonly unknown[]; texts: readonly string[] | undefined }

/**
 * The items of a JSON array, or of NDJSON with one event a line.
 *
 * @throws AppError unreadable, invalid or too_large
 */
export function readBatch(
  text: string,
  contentType: string,
  maxItems: number,
  wantsTexts: boolean,
): Batch {
  const begin = text.trimStart()[0]
  if (begin === undefined)
    throw new AppError('unreadable', 'the body is empty; send a JSON array or NDJSON')
  const lines = /ndjson|jsonl|json-seq/i.test(contentType) || begin === '{'
  if (lines) return readLines(text, maxItems)
  const input = parseJson(text)
  if (!Array.isArray(input)) {
    throw new AppError(
      'invalid',
      'must be a JSON array of events, or NDJSON with one event per line',
    )
  }
  if (input.length > maxItems) throw tooMany(maxItems)
  return { inputs: input, texts: wantsTexts ? cutItems(text, input) : undefined }
}

const tooMany = (maxItems: number) =>
  new AppError('too_large', `over ${maxItems} events in one request; send at most that many`)

/** Reads no line beyond the limit: a few kilobytes of gzip hold millions of bad ones. */
function readLines(text: string, maxItems: number): Batch {
  const inputs: unknown[] = []
  const texts: string[] = []
  for (let start = 0, end = 0; end < text.length; start = end + 1) {
    end = text.indexOf('\n', start)
    if (end === -1) end = text.length
    const line = text.slice(start, end).trim()
    if (line === '') continue
    if (inputs.length === maxItems) throw tooMany(maxItems)
    texts.push(line)
    try {
      inputs.push(parseJson(line))
    } catch (error) {
      inputs.push(new BadLine((error as Error).message.replace('the body', 'the line')))
    }
  }
  return { inputs, texts }
}
