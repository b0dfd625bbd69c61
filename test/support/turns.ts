/**
 * Turns of phrase that are understood at the second reading only. An operator reads our texts at 3
 * a.m., so they are plain, native and short; the right column says what to write.
 */
export const turns: readonly { found: RegExp; instead: string }[] = [
  {
    // `nobody` in quotes is the user of that name.
    found: /(?<![`'])\b(somebody|nobody|whoever)\b/i,
    instead: 'operator, caller, subscriber; no subscriber',
  },
  {
    found: /(?<!\bthere )\b(is|are) no (?!longer\b|more\b|less\b)[a-z]+/i,
    instead: 'is not a ...',
  },
  {
    found:
      /\bbehind (it|this|that|the|its|a|an) (last |first )?(id|number|row|position|cursor|event|page|seq)/i,
    instead: 'after',
  },
  { found: /\bat once\b/i, instead: 'immediately, or: at the same time' },
  {
    found: /\bmost (rows|events|bytes|readers|connections|batches|characters|items)\b/i,
    instead: 'Maximum rows',
  },
  { found: /\btold (of|about)\b/i, instead: 'called after ... with ..., or: notified of' },
  { found: /\b(goes|go|went|going) on (?!a |the |top|disk|stdout|stderr)/i, instead: 'continues' },
  {
    found: /\b(anew|of late|as a rule|so many|for want of|cannot be had)\b/i,
    instead: 'again, recently, usually, this many, without, is unavailable',
  },
  { found: /\bmend(s|ed|ing)?\b/i, instead: 'patch, fix, repair' },
  { found: /\b(crosswise|fared?)\b/i, instead: 'deadlock; the outcome per site' },
  { found: /\bwill be repeated\b/i, instead: 'will retry' },
  { found: /\bmakes? no sense\b/i, instead: 'is invalid, and why' },
  { found: /\bwhatever (its|the|it|they)\b/i, instead: 'case-insensitive; regardless of' },
  { found: /\bcomma(s)? between\b/i, instead: 'separated by commas' },
  { found: /\b(do|does|did)(n't| not) know the\b/i, instead: 'not supported, unknown' },
  { found: /(^|[.:|"'`>] )Whether [a-z]/, instead: 'the thing itself, for example: true when ...' },
  { found: /\b(begin|begins) of\b/i, instead: 'start of' },
  { found: /\bnot included\b/i, instead: 'exclusive' },
  { found: /\b(a|the) hole before\b|\bwithout holes?\b/i, instead: 'gap; events were missed' },
  { found: /\b(for ever|for good)\b/i, instead: 'forever, permanently' },
  { found: /\b(says|said) no\b/i, instead: 'waives, refuses' },
  { found: /\banybody\b/i, instead: 'any caller, any operator' },
  { found: /\btells (of|how|which|that|what|whether)\b/i, instead: 'reports, shows, says' },
  { found: /\bwhere it (stood|stands)\b|\bas it stands\b/i, instead: 'position; unchanged' },
  { found: /\bwhat waits\b/i, instead: 'how many events wait' },
  { found: /\bnot heard\b/i, instead: 'without contact' },
  {
    found: /\b(an?|one) (event|line|object|row|job) (an?) (line|row|job|request)\b/i,
    instead: 'per line',
  },
  { found: /\bmakes? room\b/i, instead: 'free some space' },
]

export type Text = { file: string; line: number; text: string }

/** The lines that have one of the turns, as sentences that name place and remedy. */
export function turnsIn(texts: readonly Text[]): string[] {
  return texts.flatMap(({ file, line, text }) =>
    turns
      .filter(({ found }) => found.test(text))
      .map(({ found, instead }) => {
        const [words] = found.exec(text) ?? ['']
        return `${file}:${line}: "${words.trim()}" in "${text.trim().slice(0, 100)}"; write: ${instead}`
      }),
  )
}
