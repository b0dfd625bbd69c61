import { after, before } from 'node:test'
import { pino } from 'pino'
import { uuidV5 } from '../../src/core/uuid.ts'
import { openSink } from '../../src/sinks/index.ts'
import { startAwsPeer, troubleNames, useTestKeys } from '../sinks/aws-peer.ts'
import { testSink } from '../sinks/contract.ts'
import { needsMoto, startMoto } from '../support/sid.ts'

useTestKeys()
let moto = { url: '', stop: () => {} }
before(async () => {
  if (needsMoto.skip === false) moto = await startMoto()
})
after(() => moto.stop())

const numbers = new Map(Array.from({ length: 30 }, (_, i) => [uuidV5(`n ${i + 1}`), i + 1]))
const toNumbers = (keys: Iterable<unknown>) =>
  new Set([...keys].map((key) => numbers.get(String(key)) ?? 0))

testSink({
  name: 'aws_xray',
  troubles: [...troubleNames, 'some segments throttled', 'a segment that is not wanted'],
  hangs: 'no answer',
  ...needsMoto,
  open: async (t) => {
    const peer = await startAwsPeer(t, moto.url, uuidV5('n 13'))
    const config = { aws_region: 'eu-central-1', endpoint: peer.url, timeout: 2 }
    const sink = await openSink(
      { type: 'aws_xray', name: 'xray', config },
      { log: pino({ level: 'silent' }) },
    )
    t.after(() => sink.close?.())
    return {
      deliver: sink.deliver,
      trouble: peer.trouble,
      get took() {
        return toNumbers(
          peer.segments.map(({ annotations }) => Object(annotations).idempotency_key as unknown),
        )
      },
      get refused() {
        return toNumbers(peer.refused)
      },
    }
  },
})
