import { once } from 'node:events'
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { TestContext } from 'node:test'
import { readEvent } from '../../src/core/read-event.ts'
import type { WireEvent } from '../../src/sdk/event.ts'

/** An answer of the sidecar to one batch, instead of taking it. */
export type Trouble =
  | { status: number; headers?: Record<string, string> }
  /** Answers 200 with this body. */
  | { body: string }
  /** Hangs up, before anything is taken or in the middle of its answer. */
  | 'hang up'
  | 'half an answer'
  /** Takes the request and never answers. */
  | 'silence'

export type Rejection = { field?: string; detail?: string; retryable?: boolean }

export type FakeSidecar = {
  url: string
  /** Events as they were taken, in order of arrival, without repeats. */
  events: WireEvent[]
  /** Every batch that came, taken or not. */
  batches: WireEvent[][]
  /** Authorization headers as they came. */
  tokens: (string | undefined)[]
  repeats: number
  /** Asked for every batch; undefined takes it. */
  trouble: (batch: number) => Trouble | undefined
  /** Asked for every event. */
  verdict: (event: WireEvent) => Rejection | undefined
  /** Refuses connections until `start`. */
  stop(): Promise<void>
  start(): Promise<void>
}

const limits = { maxEventBytes: 64 * 1024, maxSkewS: 600 }

/**
 * A sidecar without a disk: takes batches of events over HTTP and judges each by the first door of
 * the real one, unless a test says otherwise.
 */
export async function fakeSidecar(t: Pick<TestContext, 'after'>): Promise<FakeSidecar> {
  const seen = new Set<string>()
  const fake: FakeSidecar = {
    url: '',
    events: [],
    batches: [],
    tokens: [],
    repeats: 0,
    trouble: () => undefined,
    verdict: () => undefined,
    async stop() {
      server.closeAllConnections()
      server.close()
      if (server.listening) await once(server, 'close')
    },
    async start() {
      server.listen(port, '127.0.0.1')
      await once(server, 'listening')
    },
  }

  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk)
    const batch = JSON.parse(Buffer.concat(chunks).toString('utf8')) as WireEvent[]
    fake.batches.push(batch)
    fake.tokens.push(request.headers.authorization)
    const trouble = fake.trouble(fake.batches.length)
    if (trouble && trouble !== 'half an answer') return makeTrouble(response, trouble)
    const answer = JSON.stringify(take(batch))
    response.writeHead(200, { 'content-type': 'application/json', 'content-length': answer.length })
    if (trouble) response.write(answer.slice(0, 10), () => response.destroy())
    else response.end(answer)
  })

  function take(batch: WireEvent[]) {
    const rejected: unknown[] = []
    let duplicates = 0
    batch.forEach((event, index) => {
      const rejection = fake.verdict(event) ?? firstDoor(event)
      if (rejection) rejected.push({ index, idempotency_key: event.idempotency_key, ...rejection })
      else if (seen.has(event.idempotency_key)) duplicates++
      else {
        seen.add(event.idempotency_key)
        fake.events.push(event)
      }
    })
    fake.repeats += duplicates
    const failed = rejected.length
    const total = batch.length
    return { ok: true, total, success: total - failed, failed, duplicates, rejected }
  }

  let port = 0
  await fake.start()
  port = (server.address() as AddressInfo).port
  fake.url = `http://127.0.0.1:${port}`
  t.after(() => fake.stop())
  return fake
}

function makeTrouble(response: ServerResponse, trouble: Exclude<Trouble, 'half an answer'>) {
  if (trouble === 'silence') return
  if (trouble === 'hang up') response.destroy()
  else if ('body' in trouble) response.end(trouble.body)
  else response.writeHead(trouble.status, trouble.headers).end('{}')
}

function firstDoor(event: WireEvent): Rejection | undefined {
  const read = readEvent(event, { receivedAt: '2099-01-01T00:00:00.000000Z' }, limits)
  return read.ok ? undefined : { field: read.field, detail: read.detail }
}
