import assert from 'node:assert/strict'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { describe, type TestContext, test } from 'node:test'
import fc from 'fast-check'
import { pino } from 'pino'
import { assertDelivery, Outgoing } from '../../src/core/delivery.ts'
import { fromMs } from '../../src/core/time.ts'
import { openSink } from '../../src/sinks/index.ts'
import { wholeEvent } from '../support/whole-event.ts'
import { runs } from '../support/wild.ts'

/*
 * Whatever a trapper port answers, with whatever length in its head, is a failure with a reason, or counts that are
 * those of the packet; never an exception, and never more memory than an answer has.
 */

const { signal } = new AbortController()
const count = 3
const headBytes = 13
const at = fromMs(Date.now() - 60_000)
const batch = Array.from(
  { length: count },
  (_, i) => new Outgoing(i + 1, JSON.stringify(wholeEvent(i + 1, { at }))),
)

type Answer = { magic: string; flags: number; length: number; reserved: number; body: Buffer }

const toText = (info: string, response = 'success') => JSON.stringify({ response, info })
const toInfo = (processed: number, failed: number, total: number) =>
  `processed: ${processed}; failed: ${failed}; total: ${total}; seconds spent: 0.000055`

function pack({ magic, flags, length, reserved, body }: Answer): Buffer {
  const head = Buffer.alloc(headBytes)
  head.write(magic, 'latin1')
  head.writeUInt8(flags, 4)
  head.writeUInt32LE(length, 5)
  head.writeUInt32LE(reserved, 9)
  return Buffer.concat([head, body])
}

const right = (text: string): Answer => {
  const body = Buffer.from(text)
  return { magic: 'ZBXD', flags: 1, length: body.length, reserved: 0, body }
}

const bodies: fc.Arbitrary<Buffer> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc
      .tuple(fc.integer({ min: -1, max: 4 }), fc.integer({ min: -1, max: 4 }), fc.nat({ max: 4 }))
      .map((counts) => Buffer.from(toText(toInfo(...counts)))),
  },
  fc.constant(Buffer.from(toText(toInfo(count, 0, count)))),
  fc.constant(Buffer.from(toText(toInfo(count, 0, count), 'failed'))),
  fc.constant(Buffer.from(toText(toInfo(count, 0, count)), 'utf16le')),
  fc.string().map((info) => Buffer.from(toText(info))),
  fc.json().map((text) => Buffer.from(text)),
  fc.uint8Array({ maxLength: 60 }).map((bytes) => Buffer.from(bytes)),
  fc.constantFrom('{"a":', '[').map((open) => Buffer.from(open.repeat(10_000))),
)

const answers: fc.Arbitrary<Answer> = bodies.chain((body) => {
  const { length } = body
  const lies = [0, 1, length - 1, length + 1, 2 * length, 65_535, 65_537, 1e8, 2 ** 31, 2 ** 32 - 1]
  return fc.record({
    magic: fc.oneof({ weight: 9, arbitrary: fc.constant('ZBXD') }, fc.constantFrom('ZBXE', 'HTTP')),
    flags: fc.oneof({ weight: 9, arbitrary: fc.constant(1) }, fc.constantFrom(0, 2, 3, 5, 255)),
    length: fc.oneof(
      { weight: 4, arbitrary: fc.constant(length) },
      fc.constantFrom(...lies.filter((lie) => lie >= 0)),
    ),
    reserved: fc.oneof(fc.constant(0), fc.nat()),
    body: fc.constant(body),
  })
})

/** @param answer to packets of values; what is told to discovery is always taken */
async function open(t: TestContext, answer: (socket: Socket) => void) {
  const server = createServer((socket) => {
    let got = Buffer.alloc(0)
    socket.on('error', () => {})
    socket.on('data', (chunk) => {
      got = Buffer.concat([got, chunk])
      if (got.length < headBytes || got.length < headBytes + got.readUInt32LE(5)) return
      const { data } = JSON.parse(String(got.subarray(headBytes))) as { data: { key: string }[] }
      const isList = data[0]?.key.startsWith('wafer.discovery')
      if (isList) socket.end(pack(right(toText(toInfo(1, 0, 1)))))
      else answer(socket)
    })
  })
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  t.after(() => server.close())
  const { port } = server.address() as AddressInfo
  return openSink(
    {
      ...{ type: 'zabbix', name: 'zabbix' },
      config: { zabbix_server: `127.0.0.1:${port}`, host: 'wafermon', unknown_key_wait_s: 0 },
    },
    { log: pino({ level: 'silent' }) },
  )
}

/** What an answer says, read naively; undefined when it is none. */
function read({ magic, flags, length, body }: Answer): RegExpExecArray | undefined {
  if (magic !== 'ZBXD' || flags !== 1 || length !== body.length) return undefined
  try {
    const { response, info } = JSON.parse(String(body)) as { response?: unknown; info?: unknown }
    const found = /^processed: (\d+); failed: (\d+); total: (\d+);/.exec(String(info))
    return response === 'success' && found ? found : undefined
  } catch {
    return undefined
  }
}

describe('an answer of a trapper port', () => {
  test('is a failure with a reason, or counts of the packet', async (t) => {
    let next: Answer | undefined
    const sink = await open(t, (socket) => next && socket.end(pack(next)))
    const verdicts = new Set<string>()
    await fc.assert(
      fc.asyncProperty(answers, async (answer) => {
        next = answer
        const delivery = await sink.deliver(batch, signal)
        assertDelivery(delivery, count)
        if (delivery.kind === 'failed') {
          assert.ok(delivery.reason !== '' && delivery.reason.length < 1000)
          assert.doesNotMatch(delivery.reason, /\n\s+at |\[object|undefined/)
        }
        if (delivery.kind !== 'judged') return
        const [, processed = -1, failed = -1, total = -1] = (read(answer) ?? []).map(Number)
        for (const verdict of delivery.verdicts) {
          verdicts.add(String(verdict))
          if (verdict === 'taken') assert.ok(processed === total && failed === 0 && total > 0)
          if (typeof verdict === 'object') assert.ok(failed === total && total > 0)
        }
      }),
      { numRuns: runs(400) },
    )
    // Of the good ones among them, some are believed.
    assert.ok(verdicts.has('taken'))
  })

  for (const length of [100_000_000, 60_000, 2 ** 32 - 1]) {
    test(`of 100 MB is not read to its end, whatever its head says (${length})`, async (t) => {
      let sent = 0
      const piece = Buffer.alloc(2 ** 20, ' ')
      const sink = await open(t, async (socket) => {
        socket.write(pack({ ...right(''), length }))
        while (!socket.destroyed && sent < 95) {
          const isTaken = socket.write(piece)
          sent++
          if (isTaken) continue
          await new Promise<void>((done) => {
            socket.once('drain', done)
            socket.once('close', done)
          })
        }
      })
      const delivery = await sink.deliver(batch, signal)
      assert.match(
        delivery.kind === 'failed' ? delivery.reason : delivery.kind,
        /^it (announces an answer of \d+ bytes|sends more than its answer announces)/,
      )
      // What the kernel holds between the two comes on top.
      assert.ok(sent <= 16, `${sent} MiB were taken`)
    })
  }

  test('is taken when it is right', async (t) => {
    const sink = await open(t, (socket) => socket.end(pack(right(toText(toInfo(count, 0, count))))))
    const taken = { kind: 'judged', verdicts: batch.map(() => 'taken') }
    assert.deepEqual(await sink.deliver(batch, signal), taken)
  })
})
