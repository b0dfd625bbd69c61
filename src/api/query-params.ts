import type { Context } from 'hono'
import * as z from 'zod'
import { AppError } from '../core/errors.ts'
import { closestSpelling } from '../core/spelling.ts'
import { type Micros, parseTime } from '../core/time.ts'
import { isUuid } from '../core/uuid.ts'

/**
 * The kinds of query parameters there are. Each reads text, says in its own words what is wrong and
 * what would be right, and carries what the OpenAPI document says about it.
 */

/** Text of 1 to `max` characters. */
export function text(max: number, description: string) {
  const message = `must be text of 1 to ${max} characters`
  return z.string(message).max(max, message).meta({ description, minLength: 1 }).optional()
}

/** An RFC 3339 time with an offset. A `+` that arrived as a space, as an unescaped one does, is read as `+`. */
export function time(description: string) {
  const message = 'must be an RFC 3339 time with an offset, such as 2026-03-01T12:00:00Z'
  return z
    .string(message)
    .transform((value, ctx): Micros => {
      const read = parseTime(value.replace(/ (\d\d:\d\d)$/, '+$1'))
      if (read === undefined) ctx.issues.push({ code: 'custom', message, input: value })
      return read ?? ''
    })
    .meta({ description, format: 'date-time' })
    .optional()
}

export function uuid(description: string) {
  return z
    .string(uuidMessage)
    .refine(isUuid, uuidMessage)
    .toLowerCase()
    .meta({ description, format: 'uuid' })
}

export const uuidMessage = 'must be a UUID such as 0193581e-7c42-7d10-9a35-6f0c41c2b7e8'

/** A finite number within a range. */
export function number(
  { min, max = Number.MAX_VALUE, whole = false }: { min: number; max?: number; whole?: boolean },
  description: string,
) {
  const range = max === Number.MAX_VALUE ? `from ${min} on` : `from ${min} to ${max}`
  const message = `must be a ${whole ? 'whole ' : ''}number ${range}`
  return z
    .string(message)
    .transform((value, ctx) => {
      const n = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(value) ? Number(value) : Number.NaN
      const fits = n >= min && n <= max && (!whole || Number.isInteger(n))
      if (!fits) ctx.issues.push({ code: 'custom', message, input: value })
      return n
    })
    .meta({
      description,
      type: whole ? 'integer' : 'number',
      minimum: min,
      ...(max === Number.MAX_VALUE ? {} : { maximum: max }),
    })
}

/** One word of a list. */
export function oneOf<const W extends string>(words: readonly W[], description: string) {
  return z.enum(words, `must be one of ${words.join(', ')}`).meta({ description })
}

/** Words of a list, comma between; the parameter may also be repeated. */
export function someOf<const W extends string>(words: readonly W[], description: string) {
  const message = `must be a list of ${words.join(', ')}, comma between`
  return z
    .string(message)
    .transform((value, ctx) => {
      const given = [...new Set(value.split(',').map((part) => part.trim()))]
      const wrong = given.some((part) => !(words as readonly string[]).includes(part))
      if (wrong) ctx.issues.push({ code: 'custom', message, input: value })
      return given as W[]
    })
    .meta({
      description: `${description} Any of ${words.join(', ')}; comma between.`,
      repeatable: true,
    })
    .optional()
}

/**
 * Reads the query of a request.
 *
 * @throws AppError invalid that names every parameter that is unknown, repeated, empty or wrong, and
 * says what is allowed. A misspelled filter must never become "no filter".
 */
export function readParams<T extends z.ZodObject>(c: Context, schema: T): z.infer<T> {
  const problems: Problem[] = []
  const given = gather(c, schema, problems)
  const result = schema.safeParse(given)
  for (const issue of result.error?.issues ?? []) {
    const name = String(issue.path[0])
    const got = name in given ? `; got ${shown(given[name]!)}` : '; it is missing'
    problems.push({ name, detail: issue.message + got })
  }
  if (problems.length === 0) return result.data as z.infer<T>
  throw new AppError(
    'invalid',
    problems.map(({ name, detail }) => `${name}: ${detail}`).join('. '),
    {
      field: problems[0]!.name,
    },
  )
}

type Problem = { name: string; detail: string }

function gather(c: Context, schema: z.ZodObject, problems: Problem[]): Record<string, string> {
  const known = Object.keys(schema.shape)
  const given: Record<string, string> = {}
  for (const [name, values] of new Map(Object.entries(c.req.queries()))) {
    if (!known.includes(name)) {
      problems.push({ name: name.slice(0, 64), detail: unknown(name, known) })
      continue
    }
    const detail = refusalOf(values, schema.shape[name] as z.ZodType)
    if (detail) problems.push({ name, detail })
    else given[name] = values.join(',')
  }
  return given
}

function unknown(name: string, known: string[]): string {
  const meant = closestSpelling(name, known)
  if (known.length === 0) return 'no such parameter; this path takes none'
  return `no such parameter; ${meant ? `did you mean ${meant}?` : `there are ${known.join(', ')}`}`
}

function refusalOf(values: string[], setting: z.ZodType): string | undefined {
  if (values.length > 1 && !isRepeatable(setting)) return 'is given more than once; give it once'
  if (values.some((value) => value === '')) return 'is empty; give a value, or leave it out'
  if (values.some((value) => value.includes('\0'))) return 'holds a NUL character; leave it out'
  return undefined
}

function isRepeatable(setting: z.ZodType): boolean {
  const inner = setting instanceof z.ZodOptional ? (setting.unwrap() as z.ZodType) : setting
  return inner.meta()?.repeatable === true
}

const shown = (value: string) =>
  JSON.stringify(value.length > 60 ? `${value.slice(0, 60)}…` : value)

/** For paths that take no parameters. */
export const noParams = z.object({})

/**
 * The id in a path.
 *
 * @throws AppError invalid when it is no UUID
 */
export function idIn(c: Context): string {
  const id = c.req.param('id') ?? ''
  if (isUuid(id)) return id.toLowerCase()
  throw new AppError('invalid', `id: ${uuidMessage}; got ${shown(id)}`, { field: 'id' })
}
