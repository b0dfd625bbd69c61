import type { TestContext } from 'node:test'
import { pino } from 'pino'
import { openSink } from '../../src/sinks/index.ts'
import { type SinkUnderTest, testSink } from './contract.ts'
import { brokenAnswers, type Reply, send, startHttpPeer } from './http-peer.ts'

type Peer = { took: Set<number>; refused: Set<number>; refuses: (n: number) => boolean }

const troubles = [
  ...Object.keys(brokenAnswers),
  'a cut within the answer, after it was taken',
  'some events refused',
  'all events refused',
]

for (const batch of [false, true]) {
  testSink({
    name: batch ? 'webhook, in batches' : 'webhook',
    troubles,
    hangs: 'no answer',
    open: (t) => openUnderTest(t, batch),
  })
}

async function openUnderTest(t: TestContext, batch: boolean): Promise<SinkUnderTest> {
  const peer: Peer = { took: new Set(), refused: new Set(), refuses: () => false }
  const take: Reply = ({ body }, response) => {
    const numbers = numbersOf(JSON.parse(body))
    if (numbers.some(peer.refuses)) {
      if (numbers.length === 1) peer.refused.add(numbers[0] ?? 0)
      return send(response, 422, 'planted')
    }
    for (const n of numbers) peer.took.add(n)
    send(response, 204)
  }
  const cut: Reply = ({ body }, response) => {
    for (const n of numbersOf(JSON.parse(body))) peer.took.add(n)
    response.writeHead(200, { 'content-length': '100' })
    response.write('{')
    setImmediate(() => response.destroy())
  }
  let reply = take
  const { url } = await startHttpPeer(t, (asked, response) => reply(asked, response))
  const sink = await openSink(
    { type: 'webhook', name: 'hook', config: { webhook_url: url, batch, timeout: 0.5 } },
    { log: pino({ level: 'silent' }) },
  )
  t.after(() => sink.close?.())
  return {
    ...{ took: peer.took, refused: peer.refused, deliver: sink.deliver },
    trouble(name) {
      peer.refuses = (n) =>
        name === 'all events refused' || (name === 'some events refused' && n % 5 === 2)
      reply = brokenAnswers[name ?? ''] ?? (name?.startsWith('a cut') ? cut : take)
    },
  }
}

const numbersOf = (body: { n?: number; events?: { n: number }[] }): number[] =>
  body.events ? body.events.map(({ n }) => n) : [body.n ?? 0]
