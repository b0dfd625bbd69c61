import type { Context } from 'hono'
import * as z from 'zod'
import { AppError } from '../core/errors.ts'
import { describeUnknown } from '../core/spelling.ts'
import { type Micros, parseTime } from '../core/time.ts'
import { isUuid } from '../core/uuid.ts'

/*
 * The kinds of query parameters. Each reads text, has its own message with the remedy, and carries
 * its description for the OpenAPI document.
 *
 * Guarantee of `readParams`: a query is taken literally or refused by name. A misspelled filter
 * never becomes "no filter".
 */

/** Text of 1 to `max` characters. */
export function text(max: number, description: string) {
  const message = `must be text of 1 to ${max} characters`
  return z.string(message).max(max, message).meta({ description, minLength: 1 }).optional()
}

/** An RFC 3339 time with an offset. An unescaped `+` arrives as a space and is read as `+`. */
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
  const range = max === Number.MAX_VALUE ? `, ${min} or greater` : ` from ${min} to ${max}`
  const message = `must be a ${whole ? 'whole ' : ''}number${range}`
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

/** Maximum rows of an answer. */
export const limitParam = ({
  defaultLimit,
  maxLimit,
}: {
  defaultLimit: number
  maxLimit: number
}) =>
  number({ min: 1, max: maxLimit, whole: true }, 'Maximum rows.')
    .optional()
    .meta({ default: defaultLimit })

/** One word of a list. */
export function choice<const W extends string>(words: readonly W[], description: string) {
  return z.enum(words, `must be one of ${words.join(', ')}`).meta({ description })
}

/** Words of a list, comma-separated; the parameter may also be repeated. */
export function choices<const W extends string>(words: readonly W[], description: string) {
  const message = `must be a comma-separated list of ${words.join(', ')}`
  return z
    .string(message)
    .transform((value, ctx) => {
      const given = [...new Set(value.split(',').map((part) => part.trim()))]
      const wrong = given.some((part) => !(words as readonly string[]).includes(part))
      if (wrong) ctx.issues.push({ code: 'custom', message, input: value })
      return given as W[]
    })
    .meta({
      description: `${description} Any of ${words.join(', ')}; comma-separated.`,
      repeatable: true,
    })
    .optional()
}

/** @throws AppError invalid, naming every parameter that is unknown, repeated, empty or invalid */
export function readParams<T extends z.ZodObject>(c: Context, schema: T): z.infer<T> {
  const problems: Problem[] = []
  const given = gather(c, schema, problems)
  const result = schema.safeParse(given)
  for (const issue of result.error?.issues ?? []) {
    const name = String(issue.path[0])
    const value = given[name]
    const got = value === undefined ? '; it is missing' : `; got ${shortened(value)}`
    problems.push({ name, detail: issue.message + got })
  }
  const [first] = problems
  if (first === undefined) return result.data as z.infer<T>
  const message = problems.map(({ name, detail }) => `${name}: ${detail}`).join('. ')
  throw new AppError('invalid', message, { field: first.name })
}

type Problem = { name: string; detail: string }

function gather(c: Context, schema: z.ZodObject, problems: Problem[]): Record<string, string> {
  const known = Object.keys(schema.shape)
  const given: Record<string, string> = {}
  for (const [name, values] of new Map(Object.entries(c.req.queries()))) {
    if (!known.includes(name)) {
      problems.push({ name: name.slice(0, 64), detail: describeUnknown(name, known) })
      continue
    }
    const detail = refusalOf(values, schema.shape[name] as z.ZodType)
    if (detail) problems.push({ name, detail })
    else given[name] = values.join(',')
  }
  return given
}

function refusalOf(values: string[], setting: z.ZodType): string | undefined {
  if (values.length > 1 && !isRepeatable(setting)) return 'is given more than once; send it once'
  if (values.some((value) => value === '')) return 'is empty; send a value, or omit it'
  if (values.some((value) => value.includes('\0'))) return 'contains a NUL character; remove it'
  return undefined
}

function isRepeatable(setting: z.ZodType): boolean {
  const inner = setting instanceof z.ZodOptional ? (setting.unwrap() as z.ZodType) : setting
  return inner.meta()?.repeatable === true
}

/** A value as errors quote it. */
export const shortened = (value: string) =>
  JSON.stringify(value.length > 60 ? `${value.slice(0, 60)}…` : value)

/** For routes without parameters. */
export const noParams = z.object({})
