import { AppError } from '../core/errors.ts'
import { parseJson } from '../core/json.ts'

/** A line of NDJSON that is not JSON: it fails alone. */
export class BadLine {
  readonly detail: string
  constructor(detail: string) {
    this.detail = detail
  }
}

/**
 * The items of a JSON array, or of NDJSON with one event a line.
 *
 * @throws AppError unreadable, invalid or too_large
 */
export function readBatch(text: string, contentType: string, maxItems: number): unknown[] {
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
  return input
}

const tooMany = (maxItems: number) =>
  new AppError('too_large', `over ${maxItems} events in one request; send at most that many`)

/** Reads no line beyond the limit: a few kilobytes of gzip hold millions of bad ones. */
function readLines(text: string, maxItems: number): unknown[] {
  const inputs: unknown[] = []
  for (let start = 0, end = 0; end < text.length; start = end + 1) {
    end = text.indexOf('\n', start)
    if (end === -1) end = text.length
    const line = text.slice(start, end)
    if (line.trim() === '') continue
    if (inputs.length === maxItems) throw tooMany(maxItems)
    try {
      inputs.push(parseJson(line))
    } catch (error) {
      inputs.push(new BadLine((error as Error).message.replace('the body', 'the line')))
    }
  }
  return inputs
}
