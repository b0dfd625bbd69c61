import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Column } from './column.ts'
import type { PeerFault } from './peer-state.ts'
import { readLines } from './seen.ts'

const faults: readonly PeerFault[] = [
  ...(['500', '429', '413', 'half', 'garbage', 'lost answer', 'silence', 'slow'] as const),
]

/** A sink of the user's own. It reads what to do wrong from a file; its reader knows events by their number. */
export const moduleColumn: Column = {
  ...{ name: 'module', type: 'module', ordered: true },
  async open(_t, dir) {
    const [journal, mood, hits] = ['journal', 'mood', 'hits'].map((name) => join(dir, name))
    const write = (text: string) => {
      writeFileSync(hits!, '')
      // Read at any moment: a half-written one would be another word.
      writeFileSync(`${mood}.next`, text)
      renameSync(`${mood}.next`, mood!)
    }
    write('')
    return {
      config: {
        path: fileURLToPath(new URL('peers/module-sink.mjs', import.meta.url)),
        options: { journal, mood, hits },
        timeout: 2,
      },
      faults,
      tell: async (fault) => write(fault ?? ''),
      hits: async () => (existsSync(hits!) ? readFileSync(hits!, 'utf8').length : 0),
      // It ends its worker in the middle of its next batches.
      life: { kill: async () => write('kill'), start: async () => write(''), diesLater: true },
      die: async () => write('500'),
      revive: async () => write(''),
      read: async () => readLines(journal!),
      complaints: () => [],
    }
  },
}
