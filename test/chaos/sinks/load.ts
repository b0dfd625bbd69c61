import { randomUUID } from 'node:crypto'
import { setTimeout as wait } from 'node:timers/promises'
import { postEvents } from '../../support/wire-events.ts'
import type { Dice } from '../random.ts'
import type { Sent } from './seen.ts'

/*
 * Programs that report jobs in batches, and send again what was not acknowledged. Each waits for its own answer
 * before it sends more, so that the events of a job are accepted in their order.
 */

const programs = 6
const maxBatch = 25

export type Tally = {
  /** Events that were answered for, by their keys. */
  acknowledged: Map<string, Sent>
  /** Events that were refused at the door for now, in the words of the sidecar, and how often. */
  refused: Map<string, number>
}

export const newTally = (): Tally => ({ acknowledged: new Map(), refused: new Map() })

export class Load {
  readonly #url: () => string
  readonly #dice: Dice
  #made = 0

  constructor(url: () => string, dice: Dice) {
    this.#url = url
    this.#dice = dice
  }

  /** Until this many events are acknowledged. @param bytes of text in each, besides */
  async send(count: number, tally: Tally, bytes = 0): Promise<void> {
    let left = count
    const run = async () => {
      while (left > 0) {
        const size = Math.min(left, this.#dice.whole(1, maxBatch))
        left -= size
        await this.#sendUntilTaken(this.#makeEvents(size, bytes), tally)
        await wait(this.#dice.whole(0, 15))
      }
    }
    await Promise.all(Array.from({ length: programs }, run))
  }

  async #sendUntilTaken(events: Sent[], tally: Tally): Promise<void> {
    for (let waiting = events; waiting.length > 0; ) {
      const before = waiting.length
      waiting = await this.#sendOnce(waiting, tally)
      if (waiting.length === before) await wait(this.#dice.whole(50, 250))
    }
  }

  /** @returns those that are to be sent again */
  async #sendOnce(events: Sent[], { acknowledged, refused }: Tally): Promise<Sent[]> {
    const note = (why: string, count: number) => refused.set(why, (refused.get(why) ?? 0) + count)
    let status: number
    let said: Answer
    try {
      const answer = await postEvents(this.#url(), events, ':batch')
      status = answer.status
      said = (await answer.json()) as Answer
    } catch {
      // Killed, or cut: whether it was taken is not known.
      return events
    }
    if (status !== 200) {
      if (status !== 503) throw new Error(`the door answered ${status}: ${said.detail}`)
      note(String(said.detail), events.length)
      return events
    }
    const rejected = new Map((said.rejected ?? []).map((one) => [one.index, one]))
    for (const { detail, field, retryable } of rejected.values()) {
      if (!retryable) throw new Error(`an event was refused for good: ${field} ${detail}`)
      note(detail, 1)
    }
    return events.filter((event, i) => {
      if (!rejected.has(i)) acknowledged.set(event.idempotency_key, event)
      return rejected.has(i)
    })
  }

  /** Jobs with their subjobs, which say only how they end; some with values that break formats. */
  #makeEvents(count: number, bytes: number): Sent[] {
    const job = randomUUID()
    return Array.from({ length: count }, (_, i) => {
      const n = this.#made++
      const entity =
        i % 3 === 2
          ? { type: 'subjob', id: randomUUID(), parent_id: job, sub_key: `W${i}` }
          : { type: 'job', id: job, business_key: hostileKeys[n % hostileKeys.length] }
      const isEnd = entity.type === 'subjob' || i === count - 1
      const kind = i === 0 ? 'started' : isEnd ? 'finished' : 'progress'
      const filler = bytes > 0 ? { filler: 'x'.repeat(bytes) } : {}
      return {
        idempotency_key: randomUUID(),
        site_id: 'fab1',
        app: { app_id: '5f0c41c2-7c42-4d10-9a35-0193581eb7e8', name: 'sinks', version: '1' },
        entity,
        event: {
          kind,
          at: toTime(n),
          metrics: { progress: 0.5 },
          metadata: { ...hostile[n % hostile.length], ...filler },
        },
      }
    })
  }
}

/** Of a moment ago, and no two the same: a clock that ran ahead would be corrected. */
const toTime = (n: number) =>
  new Date(Date.now() - 1).toISOString().replace('Z', `${String(n % 1000).padStart(3, '0')}Z`)

type Answer = {
  detail?: string
  rejected?: { index: number; field: string; detail: string; retryable?: boolean }[]
}

const hostileKeys = ['LOT-1', '../../../etc/passwd', '=cmd|calc', 'a,"b"\r\n;c', '[x] "y" {z}']
const deep = Array.from({ length: 27 }).reduce<object>((inner) => ({ inner }), { end: 1 })
const hostile: readonly object[] = [
  {},
  { 'name "quoted", with\nlines': 'a\r\nb' },
  { formula: '=1+1', '@x': '-2+3', tab: '\t=x' },
  { 'a.b': 1, a: { b: 2 }, '': 3, '[x] "y" {z}': [] },
  deep,
  { unicode: 'é 𝒳 \u2028 \ufeff', __proto__x: null },
  { long: 'x'.repeat(15_000) },
  ...Array.from({ length: 30 }, (_, i) => ({ step: i })),
]
