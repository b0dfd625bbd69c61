import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { TestContext } from 'node:test'
import { zstdDecompressSync } from 'node:zlib'
import { problemType } from '../../src/platform/problem.ts'

/* A local API for the sink to talk to, by real HTTP, with everything that can be wrong with it. */

export type Peer = {
  url: string
  took: Set<number>
  refused: Set<number>
  trouble(name: string | undefined): void
}

type Event = { n: number }
type Item = { index: number; field: string; detail: string; retryable?: boolean }
type Reply = (events: readonly Event[], response: ServerResponse, peer: Peer) => void

export async function startPeer(t: TestContext): Promise<Peer> {
  let reply: Reply = takeAll
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk as Buffer)
    const events = JSON.parse(String(zstdDecompressSync(Buffer.concat(chunks)))) as Event[]
    reply(events, response, peer)
  })
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  t.after(() => server.close())
  t.after(() => server.closeAllConnections())
  const peer: Peer = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    took: new Set(),
    refused: new Set(),
    trouble: (name) => {
      reply = name === undefined ? takeAll : troubles[name]!
    },
  }
  return peer
}

function send(response: ServerResponse, status: number, body: unknown, headers = {}): void {
  response.writeHead(status, { 'content-type': 'application/json', ...headers })
  response.end(typeof body === 'string' ? body : JSON.stringify(body))
}

const problem = (status: number) => ({ type: `${problemType}planted`, status, detail: 'planted' })
const page = '<h1>Something in between</h1>'

const toAnswer = ({ length }: readonly Event[], rejected: readonly Item[]) => ({
  total: length,
  success: length - rejected.length,
  failed: rejected.length,
  rejected,
})

/** Takes what `decide` lets through. */
function sendVerdicts(
  decide: (event: Event) => 'take' | 'refuse' | 'later',
  [events, response, peer]: Parameters<Reply>,
): void {
  const rejected = events.flatMap((event, index): Item[] => {
    const decision = decide(event)
    if (decision === 'take') peer.took.add(event.n)
    if (decision === 'refuse') peer.refused.add(event.n)
    const item = { index, field: 'event.at', detail: 'planted', retryable: decision === 'later' }
    return decision === 'take' ? [] : [item]
  })
  send(response, 200, toAnswer(events, rejected))
}

const takeAll: Reply = (...args) => sendVerdicts(() => 'take', args)

/** Answers that say nothing about any event; 400: the request was spoiled on its way. */
const outages = Object.fromEntries(
  [400, 401, 403, 404, 408, 429, 500, 502, 503, 504].map((status): [string, Reply] => [
    `${status}, in our own words`,
    (_, response) => send(response, status, problem(status), { 'retry-after': '7' }),
  ]),
)

/** Statuses that only our own API may refuse an event with. */
const proxies = Object.fromEntries(
  [200, 400, 413, 422].map((status): [string, Reply] => [
    `${status} with the page of a proxy`,
    (_, response) => send(response, status, page),
  ]),
)

const others: Record<string, Reply> = {
  'null for an answer': (_, response) => send(response, 200, 'null'),
  'null for a problem': (_, response) => send(response, 422, 'null'),
  'an answer about more events': (events, response) =>
    send(response, 200, toAnswer([...events, { n: 0 }], [])),
  'an answer about the first event alone': (events, response) =>
    send(response, 200, toAnswer(events.length > 1 ? events.slice(0, 1) : [], [])),
  'a refusal of an event that was not sent': (events, response) =>
    send(response, 200, toAnswer(events, [{ index: events.length, field: '', detail: '' }])),
  'null for a refusal': (events, response) =>
    send(response, 200, { ...toAnswer(events, []), failed: 1, rejected: [null] }),
  'a redirect': (_, response) => send(response, 307, '', { location: '/elsewhere' }),
  'a connection that is cut before the answer': (_, response) => response.destroy(),
  'a connection that is cut within the answer': (events, response, peer) => {
    for (const { n } of events) peer.took.add(n)
    response.writeHead(200, { 'content-length': '1000' })
    response.write('{"total":')
    setImmediate(() => response.destroy())
  },
  'an answer that is too long': (_, response) => send(response, 200, ' '.repeat(9 * 2 ** 20)),
  'no answer': () => {},
  'some events later': (...args) => sendVerdicts(({ n }) => (n % 3 === 1 ? 'later' : 'take'), args),
  'all events later': (...args) => sendVerdicts(() => 'later', args),
  'some events refused': (...args) =>
    sendVerdicts(({ n }) => (n % 5 === 2 ? 'refuse' : 'take'), args),
  'some refused, some later': (...args) =>
    sendVerdicts(({ n }) => (n % 5 === 2 ? 'refuse' : n % 3 === 0 ? 'later' : 'take'), args),
  '422 in our own words': (events, response, peer) => {
    if (events.length === 1) peer.refused.add(events[0]!.n)
    send(response, 422, problem(422))
  },
  '413 in our own words': (events, response, peer) => {
    if (events.length === 1) peer.refused.add(events[0]!.n)
    send(response, 413, problem(413))
  },
}

const troubles: Readonly<Record<string, Reply>> = { ...outages, ...proxies, ...others }
export const troubleNames = Object.keys(troubles)
