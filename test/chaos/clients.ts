import { randomUUID } from 'node:crypto'
import { setTimeout as wait } from 'node:timers/promises'
import { gzipSync, zstdCompressSync } from 'node:zlib'
import type { Dice } from './random.ts'

/*
 * Programs that report jobs. Each keeps an event until it was acknowledged and sends it again until
 * then, now and then to another sidecar, as programs behind a load balancer do.
 */

export type Sent = {
  idempotency_key: string
  site_id: string
  app: { app_id: string; name: string; version: string }
  entity: { type: 'job'; id: string; business_key: string }
  event: { kind: string; at: string; status?: string; metrics?: object; metadata?: object }
}

/** What a batch looks like on its way. */
type Encoding = { name: string; type: string; encode(events: Sent[]): [Buffer, string?] }

const json = (events: Sent[]) => Buffer.from(JSON.stringify(events))
const lines = (events: Sent[]) => Buffer.from(events.map((e) => `${JSON.stringify(e)}\n`).join(''))
/** Two frames or members, one after the other, as `cat a.gz b.gz` makes them. */
const halves = (events: Sent[], pack: (bytes: Buffer) => Buffer) => {
  const middle = Math.ceil(events.length / 2)
  return Buffer.concat(
    [events.slice(0, middle), events.slice(middle)]
      .filter((half) => half.length > 0)
      .map((half) => pack(lines(half))),
  )
}

const [jsonType, linesType] = ['application/json', 'application/x-ndjson']

export const encodings: readonly Encoding[] = [
  { name: 'JSON', type: jsonType, encode: (events) => [json(events)] },
  {
    name: 'JSON over several lines',
    type: jsonType,
    encode: (events) => [Buffer.from(JSON.stringify(events, null, 2))],
  },
  { name: 'NDJSON', type: linesType, encode: (events) => [lines(events)] },
  { name: 'JSON, gzip', type: jsonType, encode: (events) => [gzipSync(json(events)), 'gzip'] },
  {
    name: 'NDJSON, gzip of two members',
    type: linesType,
    encode: (events) => [halves(events, gzipSync), 'gzip'],
  },
  {
    name: 'JSON, zstd',
    type: jsonType,
    encode: (events) => [zstdCompressSync(json(events)), 'zstd'],
  },
  {
    name: 'NDJSON, zstd of two frames',
    type: linesType,
    encode: (events) => [halves(events, zstdCompressSync), 'zstd'],
  },
]

export type Tally = {
  /** Events of each job that were made, whether acknowledged or not. */
  made: Map<string, number>
  /** Every event that was answered for, by its key. */
  acknowledged: Map<string, Sent>
  /** What was said instead, by its name. */
  refusals: Map<string, number>
  /** Events that were refused for good, though nothing is wrong with them. */
  refusedForGood: string[]
}

export type ClientOptions = {
  dice: Dice
  /** Which encoding, and whether it sends events one by one. */
  number: number
  urls: readonly string[]
  tally: Tally
}

const mostPerRequest = 40
const mostWaiting = 200

export class Client {
  readonly #options: ClientOptions
  readonly #encoding: Encoding
  readonly #single: boolean
  #home: string
  readonly #waiting: Sent[] = []
  #ended = false

  constructor(options: ClientOptions) {
    const { number, urls } = options
    this.#options = options
    this.#single = number % 8 === 7
    this.#encoding = encodings[number % encodings.length] as Encoding
    this.#home = urls[number % urls.length] as string
  }

  /** Reports no new jobs from now on. */
  end(): void {
    this.#ended = true
  }

  get waiting(): number {
    return this.#waiting.length
  }

  /** Until it has been told to end and everything is acknowledged. */
  async run(): Promise<void> {
    const { dice } = this.#options
    while (!this.#ended || this.#waiting.length > 0) {
      if (!this.#ended && this.#waiting.length < mostWaiting) {
        this.#report(aJob(dice, this.#options.number))
      }
      if (await this.#sendSome()) await wait(dice.whole(5, 60))
      else {
        if (dice.next() < 0.3) this.#home = dice.pick(this.#options.urls)
        await wait(dice.whole(50, 400))
      }
    }
  }

  #report(job: Sent[]): void {
    for (const { entity } of job) this.#options.tally.made.set(entity.id, job.length)
    this.#waiting.push(...job)
  }

  /** @returns false when something went wrong */
  async #sendSome(): Promise<boolean> {
    const { dice } = this.#options
    const count = this.#single ? 1 : dice.whole(1, mostPerRequest)
    // From anywhere among what waits: disorder is what networks make.
    const from = dice.whole(0, Math.max(0, this.#waiting.length - count))
    const events = this.#waiting.slice(from, from + count)
    try {
      const answer = await this.#post(events)
      const said = (await answer.json()) as Said
      if (answer.status !== 200) return this.#refused(nameOf(answer.status, said), false)
      return this.#take(events, said)
    } catch (error) {
      return this.#refused(causeOf(error), false)
    }
  }

  #post(events: Sent[]): Promise<Response> {
    const signal = AbortSignal.timeout(15_000)
    const method = 'POST'
    if (this.#single) {
      const headers = { 'content-type': jsonType }
      const body = JSON.stringify(events[0])
      return fetch(`${this.#home}/v1/ingest/events`, { method, headers, body, signal })
    }
    const [bytes, coding] = this.#encoding.encode(events)
    const headers = {
      'content-type': this.#encoding.type,
      ...(coding ? { 'content-encoding': coding } : {}),
    }
    const body = new Uint8Array(bytes)
    return fetch(`${this.#home}/v1/ingest/events:batch`, { method, headers, body, signal })
  }

  #take(events: Sent[], said: Said): boolean {
    const rejected = new Map((said.rejected ?? []).map((one) => [one.index, one]))
    const { tally } = this.#options
    if (!this.#single && said.total !== events.length) {
      return this.#refused('an answer about another number of events', true)
    }
    for (const [i, event] of events.entries()) {
      const refusal = rejected.get(i)
      if (refusal) this.#refused(refusal.detail, !refusal.retryable, event)
      else {
        tally.acknowledged.set(event.idempotency_key, event)
        this.#waiting.splice(this.#waiting.indexOf(event), 1)
      }
    }
    return rejected.size === 0
  }

  #refused(name: string, forGood: boolean, event?: Sent): false {
    const { refusals, refusedForGood } = this.#options.tally
    refusals.set(name, (refusals.get(name) ?? 0) + 1)
    if (!forGood) return false
    refusedForGood.push(name)
    if (event) this.#waiting.splice(this.#waiting.indexOf(event), 1)
    return false
  }
}

type Said = {
  type?: string
  detail?: string
  total?: number
  rejected?: { index: number; detail: string; retryable?: boolean }[]
}

/** Numbers and times in it would make a name of each answer. */
const nameOf = (status: number, { type, detail }: Said) =>
  `${status} ${type?.split(/[/:]/).at(-1) ?? 'WITHOUT A NAME'}: ${detail ?? 'WITHOUT WORDS'}`.replaceAll(
    /\d{4,}/g,
    'n',
  )

function causeOf(error: unknown): string {
  const { name, cause } = error as Error & { cause?: { code?: string } }
  if (name === 'TimeoutError') return 'no answer within 15 s'
  if (error instanceof SyntaxError) return 'AN ANSWER THAT IS NOT JSON'
  return `connection: ${cause?.code ?? 'cut'}`
}

const apps = Array.from({ length: 12 }, (_, i) => ({
  app_id: `5f0c41c2-7c42-4d10-9a35-${String(i).padStart(12, '0')}`,
  name: `chaos-${i}`,
  version: '1.0',
}))

/** The events of a job, in their order. */
function aJob(dice: Dice, client: number): Sent[] {
  const [id, begin] = [randomUUID(), Date.now()]
  const app = apps[client % apps.length] as Sent['app']
  const entity = { type: 'job' as const, id, business_key: `N${dice.whole(10_000, 99_999)}.00` }
  const event = (kind: string, ms: number, more: object = {}): Sent => ({
    idempotency_key: randomUUID(),
    site_id: 'fab1',
    app,
    entity,
    event: { kind, at: new Date(begin + ms).toISOString().replace('Z', '001Z'), ...more },
  })
  const steps = Array.from({ length: dice.whole(0, 4) }, (_, i) =>
    event('progress', i + 1, { metrics: { progress: (i + 1) / 5 }, metadata: { step: `é${i}` } }),
  )
  const status = dice.next() < 0.1 ? 'failed' : 'succeeded'
  return [event('started', 0), ...steps, event('finished', 10, { status })]
}
