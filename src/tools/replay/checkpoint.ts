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

/** How far a run came: how many events were sent, and a print of what they are. */
export type Position = { print: string; sent: number }

/**
 * The position that is kept in a folder; without one nothing is kept.
 *
 * @throws ConfigError when the folder cannot be used
 */
export function openPosition(
  { state, file, siteId }: Omit<Where, 'url'>,
  of: 'replay' | 'importer',
) {
  if (state === undefined) return { read: () => undefined, write: () => {} }
  const path = join(state, `${basename(file)}.${siteId}.${of}.json`)
  try {
    makeFolders(resolve(state), 0o777 & ~process.umask())
  } catch (error) {
    throw cannot(state, error)
  }
  return {
    read: (): Position | undefined => readPosition(path),
    write: (position: Position) => {
      try {
        writeDurably(path, JSON.stringify(position))
      } catch (error) {
        throw cannot(state, error)
      }
    },
  }
}

/** Undefined when there is no position, or when it cannot be read. */
function readPosition(path: string): Position | undefined {
  try {
    const { print, sent } = JSON.parse(readFileSync(path, 'utf8')) as Partial<Position>
    const fits = typeof print === 'string' && Number.isInteger(sent) && (sent as number) > 0
    return fits ? { print, sent: sent as number } : undefined
  } catch {
    return undefined
  }
}

/**
 * Reads how far a replay of the same steps to the same sidecar came. Sending an event twice does no
 * harm, leaving one out does: a replay that is not exactly the same starts from the beginning.
 *
 * @throws ConfigError when the folder cannot be used
 */
export function openCheckpoint(where: Where, steps: readonly Step[]): Checkpoint {
  if (where.state === undefined) return { from: 0, write: () => {} }
  const position = openPosition(where, 'replay')
  const print = fingerprint([where.url, where.siteId], steps)
  const known = position.read()
  // A replay that was complete begins again.
  const fits = known?.print === print && known.sent < steps.length
  return { from: fits ? known.sent : 0, write: (sent) => position.write({ print, sent }) }
}

function fingerprint(where: readonly string[], steps: readonly Step[]): string {
  const hash = createHash('sha1').update(where.join('\n'))
  for (const { record, atMs, of } of steps) {
    hash.update(`\n${record.trace}:${record.job_id}:${atMs}:${of}`)
  }
  return hash.digest('hex')
}

const cannot = (folder: string, error: unknown) =>
  new ConfigError(
    `--state: cannot use ${folder} (${(error as NodeJS.ErrnoException).code}); give a folder to write to`,
  )
