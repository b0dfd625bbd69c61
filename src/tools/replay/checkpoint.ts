import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { basename, join, resolve } from 'node:path'
import { ConfigError } from '../../core/errors.ts'
import { writeDurably } from '../../platform/durable-file.ts'
import { makeFolders } from '../../platform/own-folder.ts'
import type { Step } from './events.ts'

/** The position of a replay: where it starts, and how to keep how far it came. */
export type Checkpoint = { from: number; write: (sent: number) => void }

type Where = { state?: string | undefined; file: string; url: string; siteId: string }

/**
 * Reads how far a replay of the same steps to the same sidecar came. Sending an event twice does no
 * harm, leaving one out does: a replay that is not exactly the same starts from the beginning.
 *
 * @throws ConfigError when the folder cannot be used
 */
export function openCheckpoint(
  { state, file, url, siteId }: Where,
  steps: readonly Step[],
): Checkpoint {
  if (state === undefined) return { from: 0, write: () => {} }
  const path = join(state, `${basename(file)}.${siteId}.replay.json`)
  const print = fingerprint([url, siteId], steps)
  const write = (sent: number) => {
    try {
      writeDurably(path, JSON.stringify({ print, sent }))
    } catch (error) {
      throw cannot(state, error)
    }
  }
  try {
    makeFolders(resolve(state), 0o777 & ~process.umask())
  } catch (error) {
    throw cannot(state, error)
  }
  return { from: readPosition(path, print, steps.length), write }
}

function fingerprint(where: readonly string[], steps: readonly Step[]): string {
  const hash = createHash('sha1').update(where.join('\n'))
  for (const { record, atMs, end } of steps) {
    hash.update(`\n${record.trace}:${record.job_id}:${atMs}:${end}`)
  }
  return hash.digest('hex')
}

/** 0 when there is no position, when it cannot be read, or when that replay was complete. */
function readPosition(path: string, print: string, steps: number): number {
  try {
    const known = JSON.parse(readFileSync(path, 'utf8')) as { print?: unknown; sent?: unknown }
    const { sent } = known
    const fits = known.print === print && Number.isInteger(sent)
    return fits && (sent as number) > 0 && (sent as number) < steps ? (sent as number) : 0
  } catch {
    return 0
  }
}

const cannot = (folder: string, error: unknown) =>
  new ConfigError(
    `--state: cannot use ${folder} (${(error as NodeJS.ErrnoException).code}); give a folder to write to`,
  )
