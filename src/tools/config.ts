import type * as z from 'zod'
import { ConfigError } from '../core/errors.ts'
import { distance } from '../core/spelling.ts'
import { describeSetting } from '../platform/settings/describe.ts'
import { mask, withoutUser } from '../platform/settings/mask.ts'
import { checkSettings } from '../platform/settings/read.ts'
import {
  gatherSettings,
  type Known,
  type Origin,
  type Sources,
} from '../platform/settings/sources.ts'

/** The settings of each role, and the names that there are. */
export type Catalog<R extends string = string> = {
  roles: Readonly<Record<R, z.ZodObject>>
  known: Known
}

/** The result of `wafermon config check` for one role. */
export type CheckedRole = {
  role: string
  /** `unset`: nothing is wrong, but a setting without a default is not set; it does not run here. */
  state: 'ok' | 'wrong' | 'unset'
  problems: readonly string[]
  warnings: readonly string[]
}

/** The roles to look at: the one that is named, else all. @throws ConfigError when there is none */
export function selectRoles<R extends string>({ roles }: Catalog<R>, name?: string): R[] {
  const all = Object.keys(roles) as R[]
  if (name === undefined) return all
  const role = all.find((known) => known === name)
  if (role) return [role]
  throw new ConfigError(`--role: there is no role ${name}; the roles are ${all.join(', ')}`)
}

/**
 * Checks the settings of one role, or of every role.
 *
 * When every role is checked, one that only lacks a setting without a default is not wrong: few
 * machines run them all. When one role is checked, it is.
 */
export function checkConfig(catalog: Catalog, sources: Sources, only?: string): CheckedRole[] {
  return selectRoles(catalog, only).map((role) => {
    const schema = catalog.roles[role] as z.ZodObject
    const { problems, warnings } = checkSettings(schema, sources, catalog.known)
    const state = stateOf(problems, only !== undefined)
    return { role, state, problems: problems.map(({ text }) => text), warnings }
  })
}

function stateOf(problems: readonly { unset: boolean }[], named: boolean): CheckedRole['state'] {
  if (problems.length === 0) return 'ok'
  return problems.every(({ unset }) => unset) && !named ? 'unset' : 'wrong'
}

/** Variables that are one letter away from a setting: they would have no effect. */
export function findMisspelled({ known }: Catalog, env: Sources['env']): string[] {
  return Object.keys(env).flatMap((name) => {
    if (known.names.has(name) || name.length < 6) return []
    const meant = [...known.names].find((real) => real.length >= 6 && distance(name, real) === 1)
    return meant ? [`${name}: has no effect; did you mean ${meant}?`] : []
  })
}

/** One setting, for `wafermon config show`. */
export type ShownSetting = {
  name: string
  /** Masked when it is secret; null when it is not set and has no default. */
  value: unknown
  origin: Origin
  unit: string | null
  description: string
}

/** Every setting of a role: its value, masked when secret, and where it comes from. */
export function showConfig<R extends string>(
  { roles, known }: Catalog<R>,
  sources: Sources,
  role: R,
): ShownSetting[] {
  const schema = roles[role]
  const { values, origins } = gatherSettings(Object.keys(schema.shape), sources, known)
  return Object.entries(schema.shape).map(([name, setting]) => {
    const { description, unit, standard, secret } = describeSetting(schema, name)
    const read = (setting as z.ZodType).safeParse(values[name])
    const value = (read.success ? read.data : values[name]) ?? standard ?? null
    return {
      name,
      value: value !== null && secret ? mask : maskUser(value),
      origin: origins[name] ?? 'default',
      unit: unit === '' ? null : unit,
      description,
    }
  })
}

const maskUser = (value: unknown) => (typeof value === 'string' ? withoutUser(value) : value)
