import { pino } from 'pino'
import { uuidV5 } from '../../src/core/uuid.ts'
import { openSink } from '../../src/sinks/index.ts'
import { needsProtos } from '../support/sid.ts'
import { testSink } from './contract.ts'
import { keyOf, startOtlpPeer, troubleNames } from './otlp-peer.ts'

const numbers = new Map(Array.from({ length: 30 }, (_, i) => [uuidV5(`n ${i + 1}`), i + 1]))
const toNumbers = (keys: Iterable<string>) => new Set([...keys].map((key) => numbers.get(key) ?? 0))

testSink({
  name: 'otlp',
  troubles: [...troubleNames, 'a span that is not wanted'],
  hangs: 'no answer',
  ...needsProtos,
  open: async (t) => {
    const peer = await startOtlpPeer(t, uuidV5('n 13'))
    const sink = await openSink(
      { type: 'otlp', name: 'otlp', config: { endpoint: peer.url, timeout: 0.5 } },
      { log: pino({ level: 'silent' }) },
    )
    t.after(() => sink.close?.())
    return {
      deliver: sink.deliver,
      trouble: peer.trouble,
      get took() {
        return toNumbers(peer.took.map(keyOf))
      },
      get refused() {
        return toNumbers(peer.refused)
      },
    }
  },
})
