import { readFileSync } from 'node:fs'
import { parse as parseYaml } from 'yaml'

/*
 * Every setting comes from a flag, else the environment, else a file, else its default: the same
 * for all roles and all tools.
 */

export type Sources = {
  env: Readonly<Record<string, string | undefined>>
  /** YAML or JSON with the same names; `WAFERMON_CONFIG` in the environment unless given. */
  file?: string | undefined
  /** By the names of the settings. */
  flags?: Readonly<Record<string, string | undefined>>
  /** The names of those flags, for messages. */
  flagNames?: Readonly<Record<string, string>>
}

/** The names that there are. A file that has another one is wrong. */
export type Known = {
  names: ReadonlySet<string>
  /** Settings of features that are not built yet. No operator may think that they have an effect. */
  notReadYet: readonly string[]
}

/** Where the value of a setting comes from. */
export type Origin = 'flag' | 'environment' | 'file' | 'default'

export type Given = {
  /** Values as they are written. */
  values: Record<string, unknown>
  origins: Record<string, Origin>
  /** Problems of the file, as sentences. */
  problems: string[]
}

/** Finds the settings of these names. */
export function gatherSettings(names: readonly string[], sources: Sources, known: Known): Given {
  const { env, flags = {}, file = env.WAFERMON_CONFIG } = sources
  const problems: string[] = []
  const fromFile = file ? readFile(file, sources, problems) : {}
  // An empty variable in a script must not hide the file that WAFERMON_CONFIG names.
  if (sources.file === '') problems.push('--config: must name a file; omit it for WAFERMON_CONFIG')
  for (const name of Object.keys(fromFile)) {
    if (known.names.has(name)) continue
    const why = known.notReadYet.includes(name)
      ? `is not supported yet; remove it from ${file}`
      : `is not a setting (in ${file}); check the spelling`
    problems.push(`${name}: ${why}`)
  }
  const given: Given = { values: {}, origins: {}, problems }
  for (const name of names) {
    const ways: [Origin, unknown][] = [
      ['flag', flags[name]],
      // An empty variable means "not set", as compose files and unit files write it.
      ['environment', env[name] === '' ? undefined : env[name]],
      ['file', fromFile[name] ?? undefined],
    ]
    const [origin, value] = ways.find((way) => way[1] !== undefined) ?? ['default', undefined]
    given.origins[name] = origin
    if (value !== undefined) given.values[name] = value
  }
  return given
}

function readFile(
  file: string,
  given: Pick<Sources, 'file'>,
  problems: string[],
): Record<string, unknown> {
  let content: string
  try {
    content = readFileSync(file, 'utf8')
  } catch {
    const by = given.file === undefined ? 'WAFERMON_CONFIG' : '--config'
    problems.push(`${by}: cannot read ${file}; give a file that this user may read`)
    return {}
  }
  try {
    const parsed: unknown = parseYaml(content, { logLevel: 'error' })
    if (parsed === null) return {}
    if (typeof parsed === 'object' && !Array.isArray(parsed)) {
      return parsed as Record<string, unknown>
    }
    problems.push(`${file}: must hold lines of NAME: value`)
  } catch {
    problems.push(`${file}: is not YAML; write one NAME: value per line`)
  }
  return {}
}
