import { distance } from '../core/spelling.ts'
import {
  ConfigError,
  type ConfigSources,
  gatherSettings,
  isSecret,
  type Origin,
  type RoleName,
  readConfig,
  schemas,
} from '../platform/config.ts'
import { mask, withoutUser } from '../platform/settings.ts'

/** What `wafermon config check` found for one role. */
export type Checked = {
  role: RoleName
  /** `unset`: nothing is wrong, but a setting that has no default is not given: it does not run here. */
  state: 'ok' | 'wrong' | 'unset'
  problems: readonly string[]
  warnings: readonly string[]
}

/** The roles that have settings. */
export const allRoles = Object.keys(schemas) as RoleName[]

/** @throws ConfigError when there is no such role */
export function roleCalled(name: string): RoleName {
  const role = allRoles.find((known) => known === name)
  if (role) return role
  throw new ConfigError(`--role: there is no role ${name}; there are ${allRoles.join(', ')}`)
}

/**
 * Checks the settings of one role, or of every role.
 *
 * Asked about every role, a role that only lacks what has no default is no problem: a machine
 * seldom runs them all. Asked about one, it is.
 */
export function checkConfig(sources: ConfigSources, role?: RoleName): Checked[] {
  return (role ? [role] : allRoles).map((name) => {
    const checked = checkRole(name, sources)
    const onlyUnset = checked.problems.every((problem) => problem.endsWith(' (not set)'))
    const state = checked.state === 'wrong' && onlyUnset && !role ? 'unset' : checked.state
    return { ...checked, state }
  })
}

function checkRole(role: RoleName, sources: ConfigSources): Checked {
  try {
    const { warnings } = readConfig(role, sources)
    return { role, state: 'ok', problems: [], warnings }
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    return { role, state: 'wrong', problems: error.problems, warnings: [] }
  }
}

/** Variables that look like settings with a slip of the pen; they would have no effect at all. */
export function misspelled(env: ConfigSources['env']): string[] {
  const known = [...new Set(Object.values(schemas).flatMap((schema) => Object.keys(schema.shape)))]
  return Object.keys(env).flatMap((name) => {
    if (known.includes(name) || name.length < 6) return []
    const meant = known.find((setting) => setting.length >= 6 && distance(name, setting) === 1)
    return meant ? [`${name}: has no effect; did you mean ${meant}?`] : []
  })
}

/** One setting as it is, for `wafermon config show`. */
export type Shown = {
  name: string
  /** Masked when it is secret; null when it is not set and has no default. */
  value: unknown
  origin: Origin
  unit: string | null
  description: string
}

const shownValue = (value: unknown) => (typeof value === 'string' ? withoutUser(value) : value)

/** Every setting of a role: its value, masked when secret, and where it comes from. */
export function showConfig(role: RoleName, sources: ConfigSources): Shown[] {
  const schema = schemas[role]
  const names = Object.keys(schema.shape)
  const { given, origins } = gatherSettings(names, sources)
  const read = schema.partial().safeParse(given)
  const values = (read.success ? read.data : given) as Record<string, unknown>
  return names.map((name) => {
    const { description = '', unit } = describeSetting(role, name)
    const value = values[name] ?? describeSetting(role, name).standard ?? null
    const shown = value !== null && isSecret(schema, name) ? mask : shownValue(value)
    return {
      name,
      value: shown,
      origin: origins[name] ?? 'default',
      unit: unit ?? null,
      description,
    }
  })
}

/** What the schema says about a setting. */
export type Described = {
  description?: string
  unit?: string
  range?: string
  /** Its default; absent when there is none. */
  standard?: unknown
  required: boolean
  secret: boolean
}

type Wrapped = { unwrap?: () => Wrapped; meta: () => object | undefined }

export function describeSetting(role: RoleName, name: string): Described {
  const schema = schemas[role]
  const setting = (schema.shape as Record<string, unknown>)[name] as Wrapped
  let meta = {}
  for (let layer: Wrapped | undefined = setting; layer; layer = layer.unwrap?.()) {
    meta = { ...layer.meta(), ...meta }
  }
  const read = schema.shape[name as never] as {
    safeParse(value: unknown): { success: boolean; data?: unknown }
  }
  const { success, data } = read.safeParse(undefined)
  return {
    ...meta,
    ...(data !== undefined && { standard: data }),
    required: !success,
    secret: isSecret(schema, name),
  }
}
