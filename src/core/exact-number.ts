/**
 * A whole number that no double holds exactly, as it was written: an id of 64 bits, a time in
 * nanoseconds. Every hop reads JSON with `parseText` and writes it with JSON.stringify, so such a number
 * keeps its digits from the door to the answer. PostgreSQL's jsonb keeps them too.
 */
export class ExactNumber {
  readonly text: string

  constructor(text: string) {
    this.text = text
  }

  toJSON(): unknown {
    return rawJson(this.text)
  }

  toString(): string {
    return this.text
  }
}

// The types of our version of TypeScript lack it; Node has it since version 21.
const { rawJSON: rawJson } = JSON as unknown as { rawJSON: (text: string) => unknown }

/** Numbers of up to 15 digits are exact. */
const shortest = 16

/**
 * True when a text has sixteen digits in a row, in a number or elsewhere. Every sixteenth character is
 * looked at, for one of them is among any sixteen digits: a tenth of the cost of a pattern.
 */
export function hasLongNumber(text: string): boolean {
  for (let i = shortest - 1; i < text.length; i += shortest) {
    if (!isDigit(text, i)) continue
    let [start, end] = [i, i + 1]
    while (isDigit(text, start - 1)) start--
    while (isDigit(text, end)) end++
    if (end - start >= shortest) return true
  }
  return false
}

function isDigit(text: string, at: number): boolean {
  const code = text.charCodeAt(at)
  return code >= 0x30 && code <= 0x39
}

/**
 * @param value a number as JSON.parse reads it
 * @param source its text
 * @returns the same, or its text where JSON.stringify would write another whole number
 */
export function toExact(value: number, source: string): number | ExactNumber {
  const isExact = Number.isSafeInteger(value) || !Number.isFinite(value) || !whole.test(source)
  return isExact || String(value) === source ? value : new ExactNumber(source)
}

/** Digits alone: who writes a fraction or an exponent means a double. */
const whole = /^-?\d+$/
