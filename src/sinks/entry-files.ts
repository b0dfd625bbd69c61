import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { describeSetting } from '../platform/settings/describe.ts'
import type { SinkEntry } from './entry.ts'
import { sinkKinds } from './index.ts'
import type { SinkKind } from './kind.ts'

/**
 * The content of the files that an entry names (certificates, a module), by setting: SHA-256 in hex, or the code of the
 * error when one cannot be read. An entry makes the same sink again as long as it and these are the same.
 */
export function hashFiles(
  { type, config }: Pick<SinkEntry, 'type' | 'config'>,
  kinds: readonly SinkKind[] = sinkKinds,
): Record<string, string> {
  const settings = kinds.find((kind) => kind.type === type)?.settings
  if (!settings) return {}
  const files = Object.entries(config).filter(
    ([name]) => name in settings.shape && describeSetting(settings, name).file,
  )
  return Object.fromEntries(files.map(([name, path]) => [name, hashFile(String(path))]))
}

function hashFile(path: string): string {
  try {
    return createHash('sha256').update(readFileSync(path)).digest('hex')
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? 'unreadable'
  }
}
