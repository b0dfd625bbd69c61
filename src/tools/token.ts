import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { ConfigError } from '../core/errors.ts'
import { siteIdPattern } from '../core/site-id.ts'
import { Auth, type Bounds, newToken, type Scope, scopes, sourcePattern } from '../platform/auth.ts'
import { writeDurably } from '../platform/durable-file.ts'

/**
 * One line of a tokens file, without the hash: nothing in it gives the token away. Its bounds stand
 * among the scopes, as in the file.
 */
export type TokenLine = { id: string; scopes: string[]; note: string }

/**
 * Reads a list of scopes such as `read,ingest`.
 *
 * @throws ConfigError that lists the scopes
 */
export function readScopes(text: string): Scope[] {
  const given = [...new Set(text.split(',').map((word) => word.trim().toLowerCase()))]
  const wrong = given.filter((word) => !(scopes as readonly string[]).includes(word))
  if (wrong.length === 0) return given as Scope[]
  throw new ConfigError(
    `--scope: there is no scope ${JSON.stringify(wrong[0])}; the scopes are ${scopes.join(', ')}, comma-separated`,
  )
}

/**
 * What a token may send, from the flags `--site` and `--source`.
 *
 * @throws ConfigError when an id is wrong, or the scopes do not send what is to be bounded
 */
export function readBounds(
  scopes: readonly Scope[],
  { sites = [], sources = [] }: { [B in keyof Bounds]?: Bounds[B] | undefined },
): Bounds {
  const badSite = sites.find((site) => !siteIdPattern.test(site))
  if (badSite !== undefined) {
    throw new ConfigError(`--site: ${JSON.stringify(badSite)} is not the id of a site`)
  }
  const badSource = sources.find((source) => !sourcePattern.test(source))
  if (badSource !== undefined) {
    throw new ConfigError(
      `--source: ${JSON.stringify(badSource)} is not the id of a spool; /v1/healthz of its sidecar has it as source.id`,
    )
  }
  const wider = scopes.find((scope) => scope !== 'ingest' && scope !== 'forward')
  if (sites.length + sources.length > 0 && wider !== undefined) {
    throw new ConfigError(
      `--scope: ${wider} is not bounded by --site or --source; make a token of its own for it`,
    )
  }
  if (sources.length > 0 && !scopes.includes('forward')) {
    throw new ConfigError('--source: bounds the scope forward; add it to --scope')
  }
  return { sites, sources }
}

/**
 * Makes a token and keeps its hash in the file, which is made when it is missing.
 *
 * @returns the token: it is shown once and stored nowhere
 * @throws ConfigError when the file cannot be written, or holds anything but tokens
 */
export function makeToken(
  file: string,
  wanted: readonly Scope[],
  note = '',
  bounds?: Bounds,
): string {
  if (existsSync(file)) checkTokens(file)
  try {
    endLine(file)
    return newToken(file, wanted, note, bounds)
  } catch (error) {
    throw cannot('write', file, error)
  }
}

/** A file that was edited by hand may lack the end of its last line. */
function endLine(file: string): void {
  const text = statSync(file, { throwIfNoEntry: false }) ? readFileSync(file, 'utf8') : ''
  if (text !== '' && !text.endsWith('\n')) writeFileSync(file, '\n', { flag: 'a' })
}

/** As a role does. @throws ConfigError that names a line that is not a token */
function checkTokens(file: string): void {
  new Auth({ tokensFile: file, anonymous: [] })
}

/** The tokens of a file. @throws ConfigError when it cannot be read, or a line is not a token */
export function listTokens(file: string): TokenLine[] {
  const lines = readLines(file)
  checkTokens(file)
  return lines.flatMap((line) => {
    if (isComment(line)) return []
    const [id = '', scopeList = '', _hash, ...note] = line.trim().split(/\s+/)
    return [{ id, scopes: scopeList.split(','), note: note.join(' ') }]
  })
}

/**
 * Removes a token from the file: it is invalid from the next request on. The file is replaced as a
 * whole, so that no role ever reads half of it.
 *
 * @throws ConfigError when there is no token with that id, or the file cannot be written
 */
export function revokeToken(file: string, id: string): void {
  const lines = readLines(file)
  const kept = lines.filter((line) => isComment(line) || line.trim().split(/\s+/)[0] !== id)
  if (kept.length === lines.length) {
    throw new ConfigError(`there is no token ${id} in ${file}; wafermon token list shows them`)
  }
  try {
    const { mode, uid, gid } = statSync(file)
    // A role could not read a file that now belongs to root, and would keep the tokens it has.
    writeDurably(file, kept.join('\n'), { mode, owner: { uid, gid } })
  } catch (error) {
    throw cannot('write', file, error)
  }
}

const isComment = (line: string) => line.trim() === '' || line.trim().startsWith('#')

function readLines(file: string): string[] {
  try {
    return readFileSync(file, 'utf8').split('\n')
  } catch (error) {
    throw cannot('read', file, error)
  }
}

const cannot = (what: string, file: string, error: unknown) =>
  new ConfigError(
    `cannot ${what} ${file} (${(error as NodeJS.ErrnoException).code ?? 'unknown reason'})`,
  )
