import { randomUUID } from 'node:crypto'
import { closeSync, fdatasyncSync, openSync, rmSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import type { Admitted } from '../src/core/admission.ts'
import type { Event } from '../src/core/event.ts'
import { fromMs } from '../src/core/time.ts'
import { Spool } from '../src/spool/spool.ts'
import type { Bench, Context, Turn } from './frame/bench.ts'
import { folder } from './frame/context.ts'
import { eventMaker, timeOrderedKey } from './frame/events.ts'

const perCommit = 100
const sink = 'nowhere'

/** The spool, without the server around it. */
export const spool: Bench = {
  name: 'spool',
  about: 'events appended durably to the spool, 100 a commit, against a plain file and fdatasync',
  unit: 'events/s',
  async start(context) {
    return {
      sides: {
        'spool, keys in time order': appends(context, timeOrderedKey),
        'spool, random keys': appends(context, randomUUID),
        'plain file': plainFile(context),
      },
      claims: [
        { side: 'spool, keys in time order', against: 'plain file', atLeast: 0.6 },
        { side: 'spool, random keys', against: 'plain file', atLeast: 0.3 },
      ],
    }
  },
}

/** One spool for all turns, so that its tables of keys fill up and take turns as they do in use. */
function appends(context: Context, key: () => string): Turn {
  const dir = folder(context)
  const kept = new Spool({ dir, sinks: [sink], maxBytes: 2 ** 36 })
  context.after(() => kept.close())
  const events = bodies()
  return async (seconds) => {
    const figure = await perSecond(seconds, async () => {
      await kept.append(events().map((body) => toAppend(body, key())))
    })
    if (kept.count > 0) kept.ack(sink, ackTo(kept))
    return figure
  }
}

const ackTo = (kept: Spool) => kept.peek(sink, 1, 1)[0]!.seq + kept.count - 1

/** An event as the door lets it in. */
export function toAppend(json: string, key: string): Admitted {
  const now = fromMs(Date.now())
  const event = { idempotency_key: key, event: { kind: 'started', at: now }, received_at: now }
  return { event: event as Event, json }
}

/** A file of its own each turn; each commit is one write and one sync. */
function plainFile(context: Context): Turn {
  const path = join(folder(context), 'plain')
  const events = bodies()
  return async (seconds) => {
    const file = openSync(path, 'a')
    const figure = await perSecond(seconds, async () => {
      writeSync(file, `${events().join('\n')}\n`)
      fdatasyncSync(file)
    })
    closeSync(file)
    rmSync(path)
    return figure
  }
}

/** The same events over and over: making them is not measured. */
function bodies(): () => string[] {
  const { next } = eventMaker()
  const events = Array.from({ length: 100 }, () => Array.from({ length: perCommit }, next))
  let turn = 0
  return () => events[turn++ % events.length]!
}

async function perSecond(seconds: number, commit: () => Promise<void>): Promise<number> {
  const begin = performance.now()
  let events = 0
  for (; performance.now() - begin < seconds * 1000; events += perCommit) await commit()
  return (events / (performance.now() - begin)) * 1000
}
