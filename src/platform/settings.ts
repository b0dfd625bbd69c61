import * as z from 'zod'

/**
 * The kinds of settings there are. Each reads what an environment variable, a flag or a file can
 * hold, and says in its own words what is wrong and what would be right.
 */

/** A number within a range. `whole` refuses fractions. */
export function number(
  min: number,
  max: number,
  standard: number,
  unit: string,
  description: string,
  whole = false,
) {
  const range = `${min} to ${max} ${unit}`.trim()
  const message = `must be a ${whole ? 'whole ' : ''}number from ${range}`
  return z
    .union([z.number(), z.string()], message)
    .transform((value, ctx) => {
      const n = typeof value === 'string' && value.trim() === '' ? Number.NaN : Number(value)
      const fits = Number.isFinite(n) && n >= min && n <= max && (!whole || Number.isInteger(n))
      if (!fits) ctx.issues.push({ code: 'custom', message, input: value })
      return n
    })
    .default(standard)
    .meta({ description, unit, range })
}

/** A TCP port; 0 takes a free one. */
export const port = (standard: number) =>
  number(0, 65_535, standard, '', 'Port to listen on; 0 takes a free one.', true)

export function flag(standard: boolean, description: string) {
  const message = 'must be true or false'
  const words = new Map([
    ['true', true],
    ['1', true],
    ['yes', true],
    ['on', true],
    ['false', false],
    ['0', false],
    ['no', false],
    ['off', false],
  ])
  return z
    .union([z.boolean(), z.string(), z.number()], message)
    .transform((value, ctx) => {
      const read = words.get(String(value).toLowerCase())
      if (read === undefined) ctx.issues.push({ code: 'custom', message, input: value })
      return read ?? false
    })
    .default(standard)
    .meta({ description, range: 'true or false' })
}

/** One word of a list, in any case. */
export function oneOf<const W extends string>(
  words: readonly W[],
  standard: NoInfer<W>,
  description: string,
) {
  const message = `must be one of ${words.join(', ')}`
  return z
    .union([z.string(), z.boolean()], message)
    .transform((value, ctx) => {
      const word = words.find((candidate) => candidate === String(value).toLowerCase())
      if (word === undefined) ctx.issues.push({ code: 'custom', message, input: value })
      return word ?? (words[0] as W)
    })
    .default(standard as never)
    .meta({ description, range: words.join(', ') })
}

/** Some words of a list, comma between; none unless set. */
export function list<const W extends string>(words: readonly W[], description: string) {
  const message = `must be a list of ${words.join(', ')}, comma between`
  return z
    .string(message)
    .transform((value, ctx) => {
      const parts = value
        .split(',')
        .map((part) => part.trim().toLowerCase())
        .filter((part) => part !== '')
      for (const part of parts) {
        if (!(words as readonly string[]).includes(part)) {
          ctx.issues.push({ code: 'custom', message, input: value })
        }
      }
      return parts as W[]
    })
    .default([])
    .meta({ description, range: `${words.join(', ')}; comma between` })
}

export function text(description: string) {
  return z.string('must be text').min(1, 'must not be empty').meta({ description })
}

/** What stands for a secret that is set. */
export const mask = '********'

/** A user and a password may stand in any address, and are never shown. */
export const withoutUser = (text: string): string => text.replaceAll(/\/\/[^/@\s]+@/g, `//${mask}@`)

/** An absolute URL of one of the protocols, without a slash at its end. */
export function url(
  protocols: readonly string[],
  description: string,
  { secret = false }: { secret?: boolean } = {},
) {
  const http = protocols.includes('http')
  const message = `must be a URL such as ${protocols[0]}://host:port${http ? ', without user, query or fragment' : ''}`
  return z
    .string(message)
    .transform((value, ctx) => {
      const parsed = URL.canParse(value) ? new URL(value) : undefined
      const known = parsed && protocols.includes(parsed.protocol.slice(0, -1))
      if (!known || !(http ? isPlain(parsed) : isDecodable(parsed))) {
        ctx.issues.push({ code: 'custom', message, input: value })
      }
      return value.replace(/\/+$/, '')
    })
    .meta({ description, range: protocols.map((p) => `${p}://`).join(' or '), secret })
}

/** Nothing but a place: fetch refuses a user, and a path put behind a query is no path. */
export const isPlain = ({ username, password, search, hash }: URL): boolean =>
  username + password + search + hash === ''

/** Whether the parts that are decoded later can be. */
function isDecodable({ username, password, pathname }: URL): boolean {
  try {
    return decodeURIComponent(username + password + pathname) !== undefined
  } catch {
    return false
  }
}
