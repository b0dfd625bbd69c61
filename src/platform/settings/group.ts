import { accessSync, constants } from 'node:fs'
import * as z from 'zod'
import { withoutUser } from './mask.ts'

/*
 * Settings that belong together are one Zod object, in a file beside the code that they configure.
 * Rules between them are checks of that object; a role joins the groups that it needs, and their
 * rules and warnings come along.
 */

/** A sentence about what an operator should see but what stops nothing, or undefined. */
export type Warning<C = Record<string, unknown>> = (
  config: C,
  env: Record<string, string | undefined>,
) => string | undefined

/**
 * A rule between settings. `find` returns a sentence that names them, or undefined. It runs also
 * when settings are wrong by themselves, so that all problems are reported together: a value may
 * be missing, or be what the operator wrote.
 *
 * @param unset the rule is broken only by what is not set
 */
export function rule<C>(
  find: (config: Partial<C>) => string | undefined,
  { unset = false }: { unset?: boolean } = {},
): z.core.$ZodCheck<C> {
  return z.refine<C>((config) => find(config as Partial<C>) === undefined, {
    error: ({ input }) => find(input as Partial<C>) ?? '',
    when: () => true,
    params: { unset },
  })
}

/** The first of two numbers must not be over the second. */
export const atMost = <K extends string>(low: K, high: K) =>
  rule<Record<K, number>>((config) => {
    const [a, b] = [config[low], config[high]]
    return Number(a) > Number(b)
      ? `${low}: must not be greater than ${high} (${a} > ${b})`
      : undefined
  })

/** A file that the role reads when it starts: reported with the other problems, not later. */
export const readable = <K extends string>(name: K, remedy: string) =>
  rule<Partial<Record<K, string | undefined>>>((config) => {
    const file: unknown = config[name]
    if (typeof file !== 'string' || mayRead(file)) return undefined
    return `${name}: cannot read ${withoutUser(file)}; ${remedy}`
  })

function mayRead(file: string): boolean {
  try {
    accessSync(file, constants.R_OK)
    return true
  } catch {
    return false
  }
}

/** The group with a warning. */
export function withWarning<S extends z.ZodObject>(
  group: S,
  warning: Warning<Partial<z.infer<S>>>,
): S {
  return group.meta({ ...group.meta(), warnings: [...readWarnings(group), warning as Warning] })
}

/** What a setting turns into, with everything that is wrong with it: sentences that name it. */
export type Reading = { value: unknown; problems: readonly string[]; warnings: readonly string[] }

/** Reads a setting that needs more than its own value. Undefined when it is not set. */
export type Reader = {
  name: string
  read: (given: unknown, env: Readonly<Record<string, string | undefined>>) => Reading
}

/** The group with a reader for one of its settings. */
export const withReader = <S extends z.ZodObject>(group: S, reader: Reader): S =>
  group.meta({ ...group.meta(), readers: [...readReaders(group), reader] })

/** The readers of a group, or of groups joined. */
export const readReaders = (group: z.ZodObject): Reader[] =>
  (group.meta()?.readers as Reader[] | undefined) ?? []

/** The warnings of a group, or of groups joined. */
export const readWarnings = (group: z.ZodObject): Warning[] =>
  (group.meta()?.warnings as Warning[] | undefined) ?? []

/** Several groups as one, with the rules and warnings of them all. */
export function joinSettings<const G extends readonly z.ZodObject[]>(...groups: G) {
  const shape: z.ZodRawShape = Object.assign({}, ...groups.map((group) => group.shape))
  const rules = groups.flatMap((group) => group.def.checks ?? []) as AnyCheck[]
  const joined = z.object(shape).check(...rules)
  const warnings = groups.flatMap(readWarnings)
  const readers = groups.flatMap(readReaders)
  return joined.meta({ warnings, readers }) as unknown as z.ZodObject<JoinedShape<G>>
}

type AnyCheck = z.core.$ZodCheck<Record<string, unknown>>

type JoinedShape<G extends readonly z.ZodObject[]> = G extends readonly [
  z.ZodObject<infer S>,
  ...infer Rest extends readonly z.ZodObject[],
]
  ? S & JoinedShape<Rest>
  : Record<never, never>
