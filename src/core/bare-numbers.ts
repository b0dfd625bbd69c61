import { endOfText } from './end-of-text.ts'

/*
 * NaN and Infinity are no JSON, and some languages write them all the same. So that they cost the event
 * that has them and not its batch, they are read as a number beyond the doubles, which the door refuses
 * by the name of its field.
 */

const bare = /\b(?:NaN|Infinity)\b/g

/** Beyond the greatest double: JSON.parse reads it as Infinity. */
const beyond = '1e999'

/** The text with each bare NaN and Infinity as a number; undefined when it has none. */
export function replaceBareNumbers(text: string): string | undefined {
  let replaced = ''
  let found = false
  for (let from = 0; from < text.length; ) {
    const quote = text.indexOf('"', from)
    const until = quote === -1 ? text.length : quote
    const between = text.slice(from, until)
    const put = between.replaceAll(bare, beyond)
    found ||= put !== between
    const end = quote === -1 ? text.length : Math.min(endOfText(text, quote) + 1, text.length)
    replaced += put + text.slice(until, end)
    from = end
  }
  return found ? replaced : undefined
}
