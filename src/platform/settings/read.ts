import type * as z from 'zod'
import { ConfigError } from '../../core/errors.ts'
import { describeSetting } from './describe.ts'
import { readReaders, readWarnings } from './group.ts'
import { withoutUser } from './mask.ts'
import { type Given, gatherSettings, type Known, type Sources } from './sources.ts'

/** A problem in a sentence that begins with the names of the settings. */
export type Problem = {
  text: string
  /** Nothing is wrong, but a setting that has no default is not set. */
  unset: boolean
}

export type Checked<C> = {
  /** Absent when there are problems. */
  config: C | undefined
  problems: Problem[]
  /** Sentences for the operator that stop nothing. */
  warnings: string[]
}

/** Reads settings and finds every problem with them. */
export function checkSettings<S extends z.ZodObject>(
  schema: S,
  sources: Sources,
  known: Known,
): Checked<z.infer<S>> {
  const given = gatherSettings(Object.keys(schema.shape), sources, known)
  const { values, problems } = given
  const found = problems.map((text): Problem => ({ text, unset: false }))
  const result = schema.safeParse(values)
  for (const issue of result.error?.issues ?? [])
    found.push(toProblem(schema, given, issue, sources))
  const read = readReaders(schema).map(({ name, read }) => ({
    name,
    ...read(values[name], sources.env),
  }))
  for (const text of read.flatMap(({ problems }) => problems)) found.push({ text, unset: false })
  const more = Object.fromEntries(read.map(({ name, value }) => [name, value]))
  return {
    config: found.length === 0 && result.data ? { ...result.data, ...more } : undefined,
    problems: found,
    warnings: [
      ...(result.data ? findWarnings(schema, result.data, sources, known) : []),
      ...read.flatMap(({ warnings }) => warnings),
    ],
  }
}

/** The same, for a caller that needs the settings. @throws ConfigError that names every problem */
export function readSettings<S extends z.ZodObject>(
  command: string,
  schema: S,
  sources: Sources,
  known: Known,
): { config: z.infer<S>; warnings: string[] } {
  const { config, problems, warnings } = checkSettings(schema, sources, known)
  if (config !== undefined) return { config, warnings }
  const count = problems.length === 1 ? 'a problem' : `${problems.length} problems`
  const lines = problems.map(({ text }) => text)
  throw new ConfigError(
    [`wafermon ${command}: the configuration has ${count}`, ...lines].join('\n  '),
    lines,
  )
}

/** A rule between settings names them in its own sentence; the problem of one setting has a path. */
function toProblem(
  schema: z.ZodObject,
  { values, origins }: Given,
  issue: z.core.$ZodIssue,
  { flagNames = {} }: Sources,
): Problem {
  if (issue.path.length === 0) {
    const unset = issue.code === 'custom' && issue.params?.unset === true
    return { text: issue.message, unset }
  }
  const name = String(issue.path[0])
  const unset = !(name in values)
  const flag = flagNames[name]
  const orFlag = flag ? `; set it, or give ${flag}` : ''
  const got = unset ? ` (not set)${orFlag}` : shownValue(schema, name, values[name])
  const byFlag = flag && origins[name] === 'flag' ? `, by ${flag}` : ''
  return { text: `${issue.path.join('.')}${byFlag}: ${issue.message}${got}`, unset }
}

function shownValue(schema: z.ZodObject, name: string, value: unknown): string {
  if (describeSetting(schema, name).secret) return ''
  const text = typeof value === 'object' ? 'a list or a map' : withoutUser(JSON.stringify(value))
  return `; got ${text}`
}

function findWarnings(
  schema: z.ZodObject,
  config: Record<string, unknown>,
  { env }: Sources,
  { notReadYet }: Known,
): string[] {
  const early = notReadYet
    .filter((name) => env[name])
    .map(
      (name) => `${name}: is not supported yet and has no effect; remove it from the environment`,
    )
  return [...early, ...readWarnings(schema).flatMap((warning) => warning(config, env) ?? [])]
}
