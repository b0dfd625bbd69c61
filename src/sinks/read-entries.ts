import { readFileSync, statSync } from 'node:fs'
import { type Reading, readWarnings } from '../platform/settings/group.ts'
import { withoutUser } from '../platform/settings/mask.ts'
import { entrySchema, type SinkEntry, toProblems } from './entry.ts'
import { findProblems, sinkKinds } from './index.ts'
import type { SinkKind } from './kind.ts'
import { type Env, fillVariables } from './variables.ts'

/*
 * The sinks of a sidecar, as an operator lists them: a JSON array, inline, in a file, or under the name
 * of the setting in the file of settings. Every problem is found, and named by entry and field.
 */

/** Name of the setting. */
export const setting = 'INTEGRATIONS_CONFIG'

const maxBytes = 2 ** 20

/** The entries, with what is wrong with them. `value` is undefined when the setting is not set. */
export function readEntries(
  given: unknown,
  env: Env,
  kinds: readonly SinkKind[] = sinkKinds,
): Reading & { value: SinkEntry[] | undefined } {
  if (given === undefined) return { value: undefined, problems: [], warnings: [] }
  const list = readList(given)
  if (typeof list === 'string') return refuse([list])
  const read = list.map((item, i) => readEntry(item, i, env, kinds))
  const problems = [...read.flatMap((one) => one.problems), ...findRepeated(list)]
  const entries = read.flatMap(({ entry }) => entry ?? [])
  if (problems.length === 0 && !entries.some(({ enabled }) => enabled)) {
    problems.push('no entry is enabled, so that no event would go anywhere; enable one')
  }
  if (problems.length > 0) return refuse(problems)
  return {
    value: withRequired(entries),
    problems: [],
    warnings: read.flatMap(({ warnings }) => warnings).map((text) => `${setting}: ${text}`),
  }
}

const refuse = (problems: readonly string[]) => ({
  ...{ value: undefined, warnings: [] },
  problems: problems.map((text) => `${setting}: ${text}`),
})

/** The list, or why there is none. */
function readList(given: unknown): readonly unknown[] | string {
  if (Array.isArray(given)) return given.length > 0 ? given : empty
  if (typeof given !== 'string') return 'must be a list of entries, or the path of a file with one'
  const isInline = /^\s*[[{]/.test(given)
  const text = isInline ? given : readText(given.trim())
  if (typeof text !== 'string') return text.problem
  try {
    const list: unknown = JSON.parse(text)
    if (Array.isArray(list)) return list.length > 0 ? list : empty
  } catch {
    // Without the message of the parser: it shows the text, in which a secret may be.
    return `is not JSON${isInline ? '' : ` (in ${withoutUser(given.trim())})`}; write [{"type": ..., "name": ..., "config": {...}}, ...]`
  }
  return 'must be a list: [{"type": ..., "name": ..., "config": {...}}, ...]'
}

const empty = 'has no entry; remove the setting for the local API alone'

function readText(path: string): string | { problem: string } {
  try {
    const { size } = statSync(path)
    if (size > maxBytes) return { problem: `${withoutUser(path)} has more than ${maxBytes} bytes` }
    return readFileSync(path, 'utf8').replace(/^\uFEFF/, '')
  } catch {
    const where = path.length > 200 || path.includes('\0') ? 'the file' : withoutUser(path)
    return { problem: `cannot read ${where}; give a file that this user may read, or a JSON array` }
  }
}

type ReadEntry = { entry?: SinkEntry; problems: readonly string[]; warnings: readonly string[] }

function readEntry(item: unknown, index: number, env: Env, kinds: readonly SinkKind[]): ReadEntry {
  const label = labelOf(item, index)
  const { value, problems: unset } = fillVariables(item, env)
  const { data, error } = entrySchema.safeParse(value)
  const own = [...unset, ...(error?.issues ?? []).flatMap(toProblems)]
  const problems = own.map((text) => `${label}: ${text}`)
  const { type, config = {} } = Object(value) as { type?: unknown; config?: unknown }
  const hasConfig = typeof config === 'object' && config !== null && !Array.isArray(config)
  if (typeof type === 'string' && hasConfig && unset.length === 0) {
    const ofKind = { type: type.slice(0, 64), name: '', config: { ...config } }
    problems.push(
      ...findProblems(ofKind, kinds).map((text) => text.replace(/^sink : /, `${label}: `)),
    )
  }
  if (problems.length > 0 || !data) return { problems, warnings: [] }
  const warnings = warningsOf(data, kinds).map((text) => `${label}: ${text}`)
  return { entry: data as SinkEntry, problems, warnings }
}

/** By its name, where it has one that can be shown. */
function labelOf(item: unknown, index: number): string {
  const { name } = Object(item) as { name?: unknown }
  const isShown = typeof name === 'string' && entrySchema.shape.name.safeParse(name).success
  return isShown ? `sink ${name}` : `entry ${index + 1}`
}

function warningsOf(
  { type, config }: { type: string; config: object },
  kinds: readonly SinkKind[],
) {
  const settings = kinds.find((kind) => kind.type === type)?.settings
  const data = settings?.safeParse(config).data
  return settings && data ? readWarnings(settings).flatMap((warn) => warn(data, {}) ?? []) : []
}

function findRepeated(list: readonly unknown[]): string[] {
  const names = list.map((item) => (Object(item) as { name?: unknown }).name)
  const repeated = new Set(names.filter((name, i) => names.indexOf(name) !== i))
  return [...repeated].flatMap((name) =>
    typeof name === 'string'
      ? `sink ${name.slice(0, 64)}: name: is there twice; give each sink a name of its own`
      : [],
  )
}

/** The local API misses no event; where there is none, no sink does. */
function withRequired(entries: readonly SinkEntry[]): SinkEntry[] {
  const hasLocalApi = entries.some(({ enabled, type }) => enabled && type === 'local_api')
  return entries.map((entry) => ({
    ...entry,
    required: entry.required ?? (!hasLocalApi || entry.type === 'local_api'),
  }))
}
