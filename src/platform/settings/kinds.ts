import * as z from 'zod'

/*
 * The kinds of settings. Each reads a value as an environment variable, a flag or a file can hold
 * it, and says in its own words what is wrong and what would be right.
 */

/** Marks that a setting may carry. */
type Marks = {
  /** Its value is never shown. */
  secret?: boolean
  /** It says where something is, on this machine or in the network; `wafermon up` sets those itself. */
  place?: boolean
  /** It is the path of a file whose content belongs to the configuration. */
  file?: boolean
}

type NumberRange = { min: number; max: number; unit: string } & Marks
type NumberOptions = NumberRange & { standard: number }

/** A number within a range. */
export const number = (description: string, { standard, ...range }: NumberOptions) =>
  readNumber(description, range, false).default(standard)

/** A number without a fraction, within a range. */
export const wholeNumber = (description: string, { standard, ...range }: NumberOptions) =>
  readNumber(description, range, true).default(standard)

/** A number within a range, which has no default. */
export const readNumber = (description: string, options: NumberRange, whole: boolean) => {
  const { min, max, unit, ...marks } = options
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
    .meta({ description, unit, range, ...marks })
}

/** A TCP port; 0 chooses a free port. */
export const port = (standard: number) =>
  wholeNumber('Port to listen on; 0 chooses a free port.', {
    ...{ min: 0, max: 65_535, standard, unit: '', place: true },
  })

const words = new Map([
  ...['true', '1', 'yes', 'on'].map((word) => [word, true] as const),
  ...['false', '0', 'no', 'off'].map((word) => [word, false] as const),
])

export const flag = (description: string, standard: boolean, marks: Marks = {}) =>
  readFlag(description, marks).default(standard)

/** A flag that has no default. */
export function readFlag(description: string, marks: Marks = {}) {
  const message = 'must be true or false'
  return z
    .union([z.boolean(), z.string(), z.number()], message)
    .transform((value, ctx) => {
      const read = words.get(String(value).toLowerCase())
      if (read === undefined) ctx.issues.push({ code: 'custom', message, input: value })
      return read ?? false
    })
    .meta({ description, range: 'true or false', ...marks })
}

/** One word of a list, case-insensitive. */
export function choice<const W extends string>(
  description: string,
  choices: readonly [W, ...W[]],
  standard: NoInfer<W>,
) {
  const message = `must be one of ${choices.join(', ')}`
  return z
    .union([z.string(), z.boolean()], message)
    .transform((value, ctx): W => {
      const word = choices.find((candidate) => candidate === String(value).toLowerCase())
      if (word === undefined) ctx.issues.push({ code: 'custom', message, input: value })
      return word ?? choices[0]
    })
    .default(standard as never)
    .meta({ description, range: choices.join(', ') })
}

/** Some words of a list, comma-separated; none unless set. */
export function list<const W extends string>(
  description: string,
  choices: readonly W[],
  marks: Marks = {},
) {
  const message = `must be a comma-separated list of ${choices.join(', ')}`
  return z
    .string(message)
    .transform((value, ctx) => {
      const parts = value
        .split(',')
        .map((part) => part.trim().toLowerCase())
        .filter((part) => part !== '')
      for (const part of parts) {
        if (!(choices as readonly string[]).includes(part)) {
          ctx.issues.push({ code: 'custom', message, input: value })
        }
      }
      return parts as W[]
    })
    .default([])
    .meta({ description, range: `${choices.join(', ')}; comma-separated`, ...marks })
}

/** Names of hosts, comma-separated; none unless set. */
export function hostNames(description: string, marks: Marks = {}) {
  const message = 'must be a comma-separated list of host names, without ports'
  return z
    .string(message)
    .transform((value, ctx) => {
      const names = value
        .split(',')
        .map((part) => part.trim().toLowerCase())
        .filter((part) => part !== '')
      if (!names.every((name) => /^[a-z0-9_-]+(\.[a-z0-9_-]+)*$/.test(name))) {
        ctx.issues.push({ code: 'custom', message, input: value })
      }
      return names
    })
    .default([])
    .meta({ description, range: 'names, comma-separated', ...marks })
}

export function text(description: string, marks: Marks = {}) {
  return z
    .string('must be text')
    .min(1, 'must not be empty')
    .meta({ description, ...marks })
}

/** The token that a role or a tool shows to another role. */
export function tokenToSend(description: string, marks: Marks = {}) {
  return text(description, { secret: true, ...marks })
    .trim()
    .regex(/^[!-~]+$/, 'must be one word of ASCII characters, as `wafermon token new` prints it')
    .meta({ description, secret: true, ...marks })
    .optional()
}

/** An absolute URL of HTTP, without a slash at its end. */
export function httpUrl(description: string, marks: Marks = {}) {
  const message = 'must be a URL such as http://host:port, without user, query or fragment'
  return url(description, { protocols: ['http', 'https'], message, fits: isPlain, ...marks })
}

/** The address of a PostgreSQL database; it may hold a password. */
export function postgresUrl(description: string, marks: Marks = {}) {
  const message = 'must be a URL such as postgres://host:port'
  const protocols = ['postgres', 'postgresql']
  return url(description, { protocols, message, fits: isDecodable, secret: true, ...marks })
}

type UrlOptions = {
  protocols: readonly string[]
  message: string
  fits: (url: URL) => boolean
} & Marks

function url(description: string, { protocols, message, fits, ...marks }: UrlOptions) {
  return z
    .string(message)
    .transform((value, ctx) => {
      const parsed = URL.canParse(value) ? new URL(value) : undefined
      const known = parsed && protocols.includes(parsed.protocol.slice(0, -1))
      if (!known || !fits(parsed)) ctx.issues.push({ code: 'custom', message, input: value })
      return value.replace(/\/+$/, '')
    })
    .meta({ description, range: protocols.map((p) => `${p}://`).join(' or '), ...marks })
}

/** Nothing but an address: fetch refuses a user, and a path appended to a query is not a path. */
export const isPlain = ({ username, password, search, hash }: URL): boolean =>
  username + password + search + hash === ''

/** False when a part that is decoded later cannot be. */
function isDecodable({ username, password, pathname }: URL): boolean {
  try {
    return decodeURIComponent(username + password + pathname) !== undefined
  } catch {
    return false
  }
}
