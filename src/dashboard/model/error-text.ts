/**
 * An error text without what differs from one occurrence to the next (numbers, ids, hashes,
 * paths' numbers), so that equal faults compare as equal: `site # of # has no reading`.
 */
export function normalizedError(text: string): string {
  const firstLine = text.trimStart().split(/[\r\n]/, 1)[0] ?? ''
  return firstLine
    .slice(0, 300)
    .replaceAll(/\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b/gi, '#')
    .replaceAll(/\b0x[0-9a-f]+\b/gi, '#')
    .replaceAll(/\b(?=[0-9a-f]*\d)[0-9a-f]{4,}\b/gi, '#')
    .replaceAll(/\d+(?:[.,:]\d+)*/g, '#')
    .trim()
}

/** Why an API is not to be had, for people: a sentence, without the codes that are for the log. */
export const reasonFor = (error: unknown): string =>
  sentence(
    (error as Error).message
      .replaceAll(/ \([A-Z0-9_]+\)/g, '')
      .replaceAll(/ answered \d{3}: /g, ' says: ')
      .replaceAll(/ answered \d{3}\b/g, ' failed'),
  )

/** A message as a sentence: large letter first, full stop last. */
export const sentence = (text: string): string =>
  text.charAt(0).toUpperCase() + text.slice(1).replace(/\.?$/, '.')
