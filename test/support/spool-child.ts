import { appendFileSync, openSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { pino } from 'pino'
import type { Delivery, Outgoing } from '../../src/core/delivery.ts'
import { Metrics } from '../../src/platform/metrics.ts'
import { Drain } from '../../src/spool/drain.ts'
import { Spool } from '../../src/spool/spool.ts'
import { admitted } from './admitted.ts'

/*
 * A spool with sinks, in a process that is killed while it works. Journals beside the spool say what happened:
 * what is written to them stays when the process is killed.
 */

/** What a sink of the child does with events. */
export type Behavior = 'takes' | 'dead' | 'refuses every tenth' | 'slow' | 'takes half'

export type ChildOptions = {
  dir: string
  maxBytes: number
  sinks: { name: string; required?: boolean; does: Behavior; ordered?: boolean; state?: boolean }[]
  /** Bytes of an event, how many come together, and from which number they are counted. */
  bytes: number
  together: number
  from: number
  /** Rejects are offered again as soon as there are any. */
  retries?: boolean
}

const options = JSON.parse(process.argv[2] ?? '') as ChildOptions
const { dir } = options
const spool = new Spool({ ...options, ballastBytes: 4096 })
const log = pino({ level: 'silent' })

/** One write a line, so that no line is torn by a kill. */
function openJournal(name: string): (text: string) => void {
  const file = openSync(join(dir, `journal-${name}`), 'a')
  return (text) => void writeSync(file, text)
}

const numberOf = ({ body }: Outgoing) => (JSON.parse(body) as { n: number }).n

function deliverTo({ name, does, state }: ChildOptions['sinks'][number]) {
  const took = openJournal(name)
  let offers = 0
  return async (batch: readonly Outgoing[]): Promise<Delivery> => {
    offers++
    await new Promise((done) => setTimeout(done, does === 'slow' ? 30 : 1))
    if (does === 'dead') return { kind: 'failed', reason: 'planted' }
    const verdicts = batch.map((event, i) => {
      const n = numberOf(event)
      if (does === 'takes half' && i % 2 === offers % 2) return 'later'
      if (does === 'refuses every tenth' && n % 10 === 0) return { field: 'n', detail: `${n}` }
      took(
        `${n} ${event.seq} ${(JSON.parse(event.body) as { source: { seq: number } }).source.seq}\n`,
      )
      return 'taken'
    })
    const last = batch.at(-1)
    const text = state && last ? { state: `${last.seq}` } : {}
    return { kind: 'judged', verdicts, ...text }
  }
}

for (const sink of options.sinks) {
  const drain = new Drain({
    ...{ spool, sink: sink.name, deliver: deliverTo(sink), limits: { events: 50, bytes: 2 ** 22 } },
    ...{ idleMs: 50, log, metrics: new Metrics(), ordered: sink.ordered ?? true },
    keepsState: sink.state === true,
  })
  void drain.run(new AbortController().signal)
}

const answered = openJournal('answered')
const refused = openJournal('refused')
let n = options.from
process.stdout.write('ready\n')
for (;;) {
  const items = Array.from({ length: options.together }, () => {
    n++
    const key = `00000000-0000-4000-8000-${String(n).padStart(12, '0')}`
    const entity = {
      type: 'job',
      id: `00000000-0000-4000-8000-${String(n % 17).padStart(12, '0')}`,
    }
    return admitted({ key, json: JSON.stringify({ n, entity, x: 'y'.repeat(options.bytes) }) })
  })
  const first = n - items.length + 1
  appendFileSync(join(dir, 'journal-asked'), `${n}\n`)
  const verdicts = await spool.append(items)
  const lines = verdicts.flatMap((verdict, i) => (verdict === 'stored' ? [`${first + i}\n`] : []))
  answered(lines.join(''))
  if (lines.length < items.length) refused(`${items.length - lines.length}\n`)
  if (options.retries) for (const { id } of spool.rejects.list(5)) spool.retryReject(id)
  await new Promise(setImmediate)
}
