import { dirname, join } from 'node:path'

/*
 * The direction of imports: to the right only, and never from one feature to another.
 *
 *   main -> commands -> roles -> features -> store -> platform -> core
 *                                dashboard -> views -> core      tools -> sdk -> core
 *
 * The SDK is bundled into other people's programs: of core it imports types, and values only from
 * files that import nothing themselves.
 */

const features = ['api', 'spool', 'sinks', 'alerts', 'archive', 'sites'].map((f) => `src/${f}`)
const shared = ['src/store', 'src/platform', 'src/core']
const everything = [...features, 'src/dashboard', 'src/tools', 'src/embedded-postgres', ...shared]

/** The layers that each layer may import besides itself. */
export const mayImport: Readonly<Record<string, readonly string[]>> = {
  'src/wafermon.ts': ['src/main.ts'],
  'src/main.ts': ['src/commands', 'src/platform', 'src/core'],
  'src/commands': ['src/roles', ...everything],
  'src/roles': everything,
  ...Object.fromEntries(features.map((feature) => [feature, shared])),
  'src/dashboard': ['views', 'src/platform', 'src/core'],
  'src/tools': ['src/sdk', 'src/platform', 'src/core'],
  'src/sdk': ['src/core'],
  views: ['src/core'],
  'src/embedded-postgres': ['src/platform', 'src/core'],
  'src/store': ['src/platform', 'src/core'],
  'src/platform': ['src/core'],
  'src/core': [],
}

/** Packages with one home: replacing one means reading one folder. */
export const homes: readonly { packages: RegExp; home: string }[] = [
  { packages: /^better-sqlite3$/, home: 'src/spool' },
  { packages: /^postgres$/, home: 'src/store' },
  { packages: /^(apache-arrow|parquet-wasm|hyparquet|@aws-sdk\/client-s3)$/, home: 'src/archive' },
]

/** Layers that bring nothing along: the packages that they may use. */
const lean: Readonly<Record<string, RegExp>> = {
  // Hashing is a pure function; files, sockets and clocks are not.
  'src/core': /^(zod|node:crypto)$/,
  'src/sdk': /^node:/,
  views: /^(hono|node:)/,
}

export type SourceFile = { path: string; text: string }
/** `lazy`: loaded when the program comes to it, by a call. */
export type Import = { target: string; typeOnly: boolean; lazy?: boolean }

/** Every import of the files that goes where it may not, as sentences. */
export function importViolations(files: readonly SourceFile[]): string[] {
  const leaves = new Set(files.filter(({ text }) => importsOf(text).length === 0).map(pathOf))
  return files.flatMap(({ path, text }) => {
    const layer = layerOf(path)
    if (!layer) return [`${path} lies in no layer`]
    return importsOf(text).flatMap((found) => violation(path, layer, found, leaves) ?? [])
  })
}

const pathOf = ({ path }: SourceFile) => path

function violation(
  path: string,
  layer: string,
  { target, typeOnly }: Import,
  leaves: ReadonlySet<string>,
): string | undefined {
  if (!target.startsWith('.')) return packageViolation(path, layer, target)
  const file = join(dirname(path), target)
  const to = layerOf(file)
  if (to === undefined || to === layer) return undefined
  if (!mayImport[layer]?.includes(to)) return `${path} must not import from ${to} (${target})`
  if (layer === 'src/sdk' && !typeOnly && !leaves.has(file)) {
    return `${path} may import only types from ${to}, or a file that imports nothing (${target})`
  }
  return undefined
}

function packageViolation(path: string, layer: string, target: string): string | undefined {
  const name = packageOf(target)
  const home = homes.find(({ packages }) => packages.test(name))?.home
  if (home && home !== layer) return `${path} must not import ${name}: its home is ${home}`
  const allowed = lean[layer]
  return allowed && !allowed.test(name) ? `${path} must not import ${name}` : undefined
}

/** `parquet-wasm/esm` -> `parquet-wasm`. */
const packageOf = (target: string) => target.split('/', target.startsWith('@') ? 2 : 1).join('/')

function layerOf(path: string): string | undefined {
  return Object.keys(mayImport).find((layer) => path === layer || path.startsWith(`${layer}/`))
}

const statement =
  /\b(?:import|export)(\s+type)?\s*([\w$*\s{},]*?)\s*\bfrom\s*['"]([^'"]+)['"]|\bimport\s*['"]([^'"]+)['"]/g
const call =
  /\b(?:import|require|require\.resolve|import\.meta\.resolve)\s*\(\s*['"`]([^'"`]+)['"`]/g

/** The files that may read the time of day: of the program, and of the SDK in other people's programs. */
export const clocks: readonly string[] = ['src/platform/clock.ts', 'src/sdk/clock.ts']

const timeReading =
  /\bDate\s*(?:\?\.|\.)\s*now\b|\bDate\s*\[|\bnew\s+Date\b(?!\s*\(\s*[^\s)])|(?<!\.|\bnew\s+)\bDate\s*\(|\btimeOrigin\b|\bTemporal\s*\.\s*Now\b/

/** Every file that reads the time of day by itself, as sentences; `performance.now()` is none. */
export function clockViolations(files: readonly SourceFile[]): string[] {
  return files.flatMap(({ path, text }) => {
    const reading = clocks.includes(path) ? null : timeReading.exec(withoutComments(text))
    const own = path.startsWith('src/sdk/') ? 'src/sdk/clock.ts' : 'src/platform/clock.ts'
    return reading ? [`${path} must read the time from ${own} (${reading[0]})`] : []
  })
}

/** The imports of a file: static, of types only, dynamic, by `require`, for their effect. */
export function importsOf(source: string): Import[] {
  const text = withoutComments(source)
  const found: Import[] = []
  for (const [, type, names = '', from, effect] of text.matchAll(statement)) {
    const typeOnly = type !== undefined || everyNameIsType(names)
    found.push({ target: from ?? effect ?? '', typeOnly: effect === undefined && typeOnly })
  }
  for (const [, target = ''] of text.matchAll(call))
    found.push({ target, typeOnly: false, lazy: true })
  return found
}

/** The packages that a file loads before it runs: its own and those of the files that it imports. */
export function packagesLoadedBy(entry: string, files: readonly SourceFile[]): string[] {
  const texts = new Map(files.map(({ path, text }) => [path, text]))
  const packages = new Set<string>()
  const seen = new Set<string>()
  const visit = (path: string) => {
    if (seen.has(path)) return
    seen.add(path)
    for (const { target, typeOnly, lazy } of importsOf(texts.get(path) ?? '')) {
      if (typeOnly || lazy) continue
      if (target.startsWith('.')) visit(join(dirname(path), target))
      else packages.add(packageOf(target))
    }
  }
  visit(entry)
  return [...packages].sort()
}

/** `{ type A, type B }`. */
function everyNameIsType(names: string): boolean {
  const inner = /^\{([^}]*)\}$/.exec(names.trim())?.[1]
  const parts =
    inner
      ?.split(',')
      .map((part) => part.trim())
      .filter(Boolean) ?? []
  return parts.length > 0 && parts.every((part) => part.startsWith('type '))
}

/** Strings are matched first, so that an address in one does not begin a comment. */
export function withoutComments(source: string): string {
  const token =
    /("(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|`(?:\\.|[^`\\])*`)|\/\/[^\n]*|\/\*[\s\S]*?\*\//g
  return source.replaceAll(token, (_, string: string | undefined) => string ?? ' ')
}
