import type { TestContext } from 'node:test'
import { pino } from 'pino'
import type { BatchLimits, Outgoing, Sink } from '../../src/core/delivery.ts'
import { must } from '../../src/core/must.ts'
import { Metrics } from '../../src/platform/metrics.ts'
import { Drain, type DrainOptions } from '../../src/spool/drain.ts'
import type { RefusedEvent } from '../../src/spool/lanes.ts'
import { Spool } from '../../src/spool/spool.ts'
import { admitted } from './admitted.ts'
import { freshFolder } from './processes.ts'

export const sinkName = 'sink'

/** An event with the refusal that its sink gave. */
export const refuse = (event: Outgoing | undefined, refusal = {}): RefusedEvent => {
  const { seq, body, bytes } = must(event, 'the spool has that event')
  return { seq, field: 'event.at', detail: 'odd', body, bytes, ...refusal }
}

export const toAppend = (event: object) => admitted({ json: JSON.stringify(event) })

/** A spool with these events for one sink; the first has number 1. */
export async function fillSpool(events: readonly object[]): Promise<Spool> {
  const spool = new Spool({
    dir: freshFolder(),
    sinks: [sinkName],
    maxBytes: 2 ** 28,
    ballastBytes: 4096,
  })
  await spool.append(events.map(toAppend))
  return spool
}

export type Draining = {
  drain: Drain
  /** How long it would have waited after each failure, in milliseconds. */
  waits: number[]
  /** Tells it to stop, and waits until it has. */
  stop(): Promise<void>
}

/** A drain that does not wait after failures. */
export const startDraining = (
  spool: Spool,
  deliver: Sink['deliver'],
  limits: BatchLimits = { events: 10, bytes: 2 ** 22 },
): Draining => startDrainingTo(spool, sinkName, deliver, { limits })

/** The same towards a sink of any name and kind. */
export function startDrainingTo(
  spool: Spool,
  sink: string,
  deliver: Sink['deliver'],
  more: Partial<DrainOptions> = {},
): Draining {
  const stop = new AbortController()
  const waits: number[] = []
  const drain = new Drain({
    spool,
    sink,
    deliver,
    limits: { events: 10, bytes: 2 ** 22 },
    idleMs: 20,
    log: pino({ level: 'silent' }),
    metrics: new Metrics(),
    pause: async (ms) => {
      waits.push(ms)
      await new Promise(setImmediate)
    },
    ...more,
  })
  const running = drain.run(stop.signal)
  return {
    drain,
    waits,
    stop: () => {
      stop.abort()
      return running
    },
  }
}

/** Stops a drain and closes its spool when the test ends. */
export function stopAfter(t: TestContext, spool: Spool, draining: Draining): void {
  t.after(async () => {
    await draining.stop()
    spool.close()
  })
}
