import * as z from 'zod'
import { AppError } from './errors.ts'
import { ensure } from './must.ts'
import { isCanonical, type Micros, parseTime } from './time.ts'

/**
 * The one place where our objects (camelCase) become answers (snake_case) and back. A table declares
 * each field once; the writer, the reader of other sites' answers, the schema of the OpenAPI document
 * and the columns of CSV files come from it, so they cannot drift apart.
 *
 * Guarantees:
 * - Fields are written in the order of the table.
 * - Only the names of the table are renamed: metadata and metrics stay as users wrote them.
 * - Reading is lenient about what is absent (where a field says what absence means) and about fields
 *   it does not know (ignored), since sites upgrade at different times; it is strict about types.
 */
export type Table<T> = {
  /** The names on the wire, in order. */
  names: readonly string[]
  /** The object as it is sent. Tests hold every answer against it. */
  shown: z.ZodObject
  /** The object as it is read from an answer, with our names. */
  read: z.ZodType<T>
  toWire(row: T): Wire
  /** The type that `toWire` writes, without the names. */
  toValues(row: T): unknown[]
  /** @throws AppError invalid, naming the field, when the JSON has another shape */
  fromWire(json: unknown): T
}

export type Wire = Record<string, unknown>

export type Field<T> = {
  shown: z.ZodType
  /** A field that reads as undefined is absent from the object. */
  read: z.ZodType<T>
  /** The name on the wire, where it is not the key in snake_case. */
  name?: string
  /** Converts the value for the wire, where it is not sent as it is. */
  write?: (value: T) => unknown
}

type Fields<T> = { [K in keyof T]-?: Field<T[K]> }
type Column = { key: string; name: string; write: ((value: unknown) => unknown) | undefined }

/** @param what the object in an error, for example `a job` */
export function makeTable<T extends object>(what: string, fields: Fields<T>): Table<T> {
  const list = Object.entries(fields as Record<string, Field<unknown>>)
  const columns = list.map(
    ([key, { name = toSnake(key), write }]): Column => ({ key, name, write }),
  )
  const names = columns.map(({ name }) => name)
  ensure(new Set(names).size === names.length, `${what} has two fields of one name`)
  const shapeOf = (side: 'shown' | 'read') =>
    Object.fromEntries(columns.map(({ name }, i) => [name, list[i]?.[1][side] as z.ZodType]))
  const read = z.object(shapeOf('read')).transform((wire) => renamed(wire, columns) as T)
  return {
    names,
    shown: z.object(shapeOf('shown')),
    read: read as unknown as z.ZodType<T>,
    toWire: makeWriter(columns),
    toValues: makeLister(columns),
    fromWire: (json) => readAs(read, json, what) as T,
  }
}

const toSnake = (key: string) => key.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)

/**
 * Lists are made of this. An object that is copied from one with all names keeps its shape: filling
 * it costs half of adding the names one by one, and it becomes JSON faster.
 */
function makeWriter(columns: readonly Column[]): (row: object) => Wire {
  const blank = JSON.parse(
    JSON.stringify(Object.fromEntries(columns.map(({ name }) => [name, null]))),
  )
  const plain = columns.filter(({ write }) => write === undefined)
  const made = columns.filter(({ write }) => write !== undefined)
  return (row) => {
    const wire: Wire = { ...blank }
    for (const { key, name } of plain) wire[name] = (row as Wire)[key]
    for (const { key, name, write } of made) wire[name] = write?.((row as Wire)[key])
    return wire
  }
}

function makeLister(columns: readonly Column[]): (row: object) => unknown[] {
  const keys = columns.map(({ key }) => key)
  const made = columns.flatMap(({ write }, place) => (write ? [{ write, place }] : []))
  return (row) => {
    const values = keys.map((key) => (row as Wire)[key])
    for (const { write, place } of made) values[place] = write(values[place])
    return values
  }
}

function renamed(wire: Wire, columns: readonly Column[]): Wire {
  const row: Wire = {}
  for (const { key, name } of columns) {
    if (wire[name] !== undefined) row[key] = wire[name]
  }
  return row
}

/** @throws AppError invalid, naming the field, when the JSON has another shape */
export function readAs<T>(schema: z.ZodType<T>, json: unknown, what: string): T {
  const result = schema.safeParse(json)
  if (result.success) return result.data
  const issue = result.error.issues[0]
  throw notA(what, `${issue?.path.join('.') || 'the whole'}: ${issue?.message}`)
}

export const notA = (what: string, why: string) =>
  new AppError('invalid', `this is not ${what} (${why})`)

/** `{items: [...]}`, as every list is answered. */
export function itemsFromWire<T>(json: unknown, item: (json: unknown) => T): T[] {
  return readAs(listSchema, json, 'a list').items.map(item)
}

/** The cursor of the next page of a list; undefined on the last one, and of a list that comes whole. */
export const cursorOfList = (json: unknown): string | undefined =>
  readAs(listSchema, json, 'a list').next_cursor ?? undefined

const listSchema = z.object({ items: z.array(z.unknown()), next_cursor: z.string().nullish() })

/*
 * The kinds of fields. They are read less strictly than documented: a newer site may widen a range,
 * and that must not hide its jobs.
 */

export const text = (description?: string): Field<string> => ({
  shown: description === undefined ? z.string() : z.string().describe(description),
  read: z.string(),
})

export const uuid = (description: string): Field<string> => ({
  shown: z.string().meta({ description, format: 'uuid' }),
  read: z.string(),
})

export const time = (description: string): Field<Micros> => ({
  shown: z.string().meta({ description, format: 'date-time' }),
  read: z.string().transform((given, ctx): Micros => {
    // Our own form reaches further back than the times that we accept from others.
    const parsed = isCanonical(given) ? given : parseTime(given)
    if (parsed === undefined)
      ctx.issues.push({ code: 'custom', message: 'not a time', input: given })
    return parsed ?? ''
  }),
})

export const whole = (description: string): Field<number> => ({
  shown: z.int().min(0).describe(description),
  read: z.number(),
})

export const number = (description: string): Field<number> => ({
  shown: z.number().describe(description),
  read: z.number(),
})

export const flag = (description: string): Field<boolean> => ({
  shown: z.boolean().describe(description),
  read: z.boolean(),
})

export const choice = <W extends string>(words: readonly W[], description: string): Field<W> => ({
  shown: z.enum(words).describe(description),
  read: z.enum(words) as unknown as z.ZodType<W>,
})

/** An object whose names users choose. It is read as it is: zod would lose a name `__proto__`. */
export const record = <T>(
  item: z.ZodType<T>,
  isItem: (value: unknown) => boolean,
  description: string,
): Field<Record<string, T>> => ({
  shown: z.record(z.string(), item).describe(description),
  read: z.custom<Record<string, T>>(
    (value) => isObject(value) && Object.values(value).every(isItem),
    'not an object of the expected values',
  ),
})

const isObject = (value: unknown): value is object =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** Items are sent as they are: only for those with the same names on both sides. */
export const list = <T>(
  { shown, read }: Pick<Field<T>, 'shown' | 'read'>,
  description: string,
): Field<T[]> => ({ shown: z.array(shown).describe(description), read: z.array(read) })

/** Null is allowed, and absent means null. */
export function orNull<T>({ shown, read, ...rest }: Field<T>): Field<T | null> {
  const lenient = read.nullish().transform((value) => value ?? null)
  return { ...rest, shown: shown.nullable(), read: lenient } as Field<T | null>
}

/** It may be left out. */
export function optional<T>({ shown, read, ...rest }: Field<T>): Field<T | undefined> {
  return { ...rest, shown: shown.optional(), read: read.optional() } as Field<T | undefined>
}

/** Always sent; absent, from an older site, means this. */
export function orElse<T>(field: Field<T>, absent: T): Field<T> {
  return {
    ...field,
    read: field.read.nullish().transform((value) => value ?? absent) as z.ZodType<T>,
  }
}
