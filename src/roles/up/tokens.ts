import { readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import type { Logger } from 'pino'
import { must } from '../../core/must.ts'
import { Auth, makeToken, tokenPattern, toTokenLine } from '../../platform/auth.ts'
import { Sessions } from '../../platform/session.ts'
import { writeOwn } from './folder.ts'

/*
 * The tokens of `up`. Its roles listen on loopback, which every user and every page in a browser of
 * the machine can reach, so they ask for tokens as all roles do.
 *
 *   up.token    the token of `up`, made once: the roles use it, and so may the operator
 *   up.tokens   what the roles take as TOKENS_FILE: that token's hash, and the operator's own file
 */

export type UpTokens = {
  /** The TOKENS_FILE of the roles. */
  file: string
  token: string
  tokenFile: string
  /** An invitation to a dashboard; see Sessions.invite. */
  invite(): string
  close(): void
}

/** How soon a change of the operator's file counts, in milliseconds. */
const lookEveryMs = 1000

/**
 * Makes the token unless it is there, and follows the operator's file.
 *
 * @param operators the file that TOKENS_FILE names, if any
 * @throws ConfigError when that file cannot be read or is wrong; AppError `unavailable` when the disk
 * does not take ours
 */
export function openTokens(dir: string, operators: string | undefined, log: Logger): UpTokens {
  // Read as a role would, for its words about what is wrong.
  if (operators) new Auth({ tokensFile: operators, anonymous: [] })
  const tokenFile = join(dir, 'up.token')
  const file = join(dir, 'up.tokens')
  const kept = readOr(tokenFile, '').trim()
  const token = tokenPattern.test(kept) ? kept : makeToken()
  const ours = toTokenLine({ id: 'up', allows: 'admin', token, note: 'of wafermon up' })
  let written = readOr(file, '')
  const update = () => {
    const theirs = operators ? readOr(resolve(operators), undefined) : ''
    // While it cannot be read, the last tokens are kept, as in every role.
    if (theirs === undefined) return
    const content = `${ours}\n${theirs}`
    if (content === written) return
    // A role that starts with a file that is wrong ends.
    if (operators) new Auth({ tokensFile: operators, anonymous: [] })
    writeOwn(file, content)
    written = content
  }
  writeOwn(tokenFile, `${token}\n`)
  update()
  let trouble = ''
  const look = () => {
    const before = trouble
    trouble = ''
    try {
      update()
    } catch (error) {
      trouble = (error as Error).message
      if (trouble !== before) log.warn({ trouble }, 'a change of TOKENS_FILE was not taken over')
    }
  }
  const timer = setInterval(look, lookEveryMs)
  const auth = new Auth({ tokensFile: file, anonymous: [] })
  // The dashboards have the token as their secret: see children.ts.
  const sessions = new Sessions(auth, token)
  const entry = must(auth.find(token), 'its line was written above')
  return {
    ...{ file, token, tokenFile },
    invite: () => sessions.invite(entry),
    close: () => clearInterval(timer),
  }
}

function readOr<T>(path: string, otherwise: T): string | T {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return otherwise
  }
}
