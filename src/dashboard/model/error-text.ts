/**
 * An error text without the numbers, ids and hashes that differ between occurrences, so that equal
 * faults compare as equal: `site # of # has no reading`.
 */
export function normalizeError(text: string): string {
  const firstLine = text.trimStart().split(/[\r\n]/, 1)[0] ?? ''
  return firstLine
    .slice(0, 300)
    .replaceAll(/\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b/gi, '#')
    .replaceAll(/\b0x[0-9a-f]+\b/gi, '#')
    .replaceAll(/\b(?=[0-9a-f]*\d)[0-9a-f]{4,}\b/gi, '#')
    .replaceAll(/\d+(?:[.,:]\d+)*/g, '#')
    .trim()
}

/** The reason of an outage for people: a sentence, without the codes that are for the log. */
export const describeOutage = (error: unknown): string =>
  toSentence(
    (error as Error).message
      .replaceAll(/ \([A-Z0-9_]+\)/g, '')
      .replaceAll(/ answered \d{3}: /g, ' says: ')
      .replaceAll(/ answered \d{3}\b/g, ' failed'),
  )

/** A message as a sentence: capital letter first, full stop last. */
export const toSentence = (text: string): string =>
  text.charAt(0).toUpperCase() + text.slice(1).replace(/\.?$/, '.')
