import { existsSync, readFileSync } from 'node:fs'
import type { PeerReader } from './peer-column.ts'
import { readLines, type SentByKey } from './seen.ts'

/*
 * The reader of CloudWatch knows lines by their event_id. Its metrics have no ids: they count each end of a job, and
 * twice only those whose answer was lost, or that were offered again by a sidecar that was killed.
 */

export function readCloudWatch(journal: string): PeerReader {
  const file = `${journal}.metrics`
  let from = 0
  let wrong: string[] = []
  /** What metrics count since the last look. `unheard`: those of which the sidecar may not know. */
  const count = () => {
    const lines = existsSync(file) ? readFileSync(file, 'utf8').split('\n').slice(0, -1) : []
    const fresh = lines.slice(from).map(Number)
    from = lines.length
    const sum = (numbers: readonly number[]) => numbers.reduce((all, one) => all + one, 0)
    return { counted: sum(fresh.filter((n) => n > 0)), unheard: Math.max(0, sum(fresh)) }
  }
  return {
    read(sent: SentByKey, { restarted }) {
      const seen = readLines(journal)
      const keys = new Set(seen.map(({ key }) => key))
      const ends = [...sent.values()].filter(
        ({ idempotency_key: key, event }) => event.kind === 'finished' && keys.has(key),
      ).length
      const { counted, unheard } = count()
      wrong = []
      if (counted < ends) wrong.push(`metrics count ${counted} of ${ends} ends`)
      if (!restarted && counted > ends + unheard) {
        wrong.push(`metrics count ${counted} ends, ${unheard} of them unheard, of ${ends}`)
      }
      return seen
    },
    complaints: () => wrong,
  }
}
