import { appendFileSync, readFileSync } from 'node:fs'
import { setTimeout as wait } from 'node:timers/promises'

/* A sink of a user's own that writes a line for each event, and does wrong when a file says so. */

const toLine = ({ seq, body }) => {
  const { idempotency_key: key, entity, source } = JSON.parse(body)
  const job = entity.parent_id ?? entity.id
  return `${JSON.stringify({ id: `${seq}`, key, epoch: source.epoch, seq: source.seq, job })}\n`
}

export function open({ journal, mood, hits }) {
  const write = (events) => appendFileSync(journal, events.map(toLine).join(''))
  const judged = (verdicts) => ({ kind: 'judged', verdicts })
  const wrong = {
    500: () => {
      throw new Error('planted')
    },
    429: () => ({ kind: 'failed', reason: 'planted', retryAfterMs: 1000 }),
    413: (batch) => (batch.length > 5 ? { kind: 'too_large' } : undefined),
    half: (batch) => {
      const half = Math.ceil(batch.length / 2)
      write(batch.slice(0, half))
      return judged(batch.map((_, i) => (i < half ? 'taken' : 'later')))
    },
    garbage: (batch) => judged(batch.slice(1).map(() => 'taken')),
    'lost answer': (batch) => {
      write(batch)
      throw new Error('planted after the commit')
    },
    silence: () => new Promise(() => {}),
    kill: (batch) => {
      write(batch.slice(0, Math.ceil(batch.length / 2)))
      process.exit(1)
    },
  }
  return {
    async deliver(batch) {
      const found = readFileSync(mood, 'utf8')
      if (found === 'slow') await wait(40)
      else if (found !== '') {
        if (found !== '413' || batch.length > 5) appendFileSync(hits, '.')
        const answer = await wrong[found](batch)
        if (answer) return answer
      }
      write(batch)
      return judged(batch.map(() => 'taken'))
    },
  }
}
