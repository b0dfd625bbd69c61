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
