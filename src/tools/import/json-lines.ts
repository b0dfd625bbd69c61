import { parseText } from '../../core/json.ts'
import { BadValue, type Cut } from './format.ts'
import type { Source } from './source.ts'

/* JSON in files: an object per line. */

/** The lines that are not empty. */
export async function* cutJsonLines(source: Source): AsyncGenerator<Cut<string>> {
  for await (const cut of source.lines()) {
    if ('why' in cut || cut.value.trim() !== '') yield cut
  }
}

/** @throws BadValue when the text is not a JSON object */
export function parseObject(text: string): Record<string, unknown> {
  let json: unknown
  try {
    json = parseText(text)
  } catch {
    throw new BadValue('is not JSON')
  }
  if (isObject(json)) return json
  throw new BadValue('is not a JSON object')
}

export const isObject = (json: unknown): json is Record<string, unknown> =>
  json !== null && typeof json === 'object' && !Array.isArray(json)
