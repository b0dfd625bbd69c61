import { pino } from 'pino'
import { uuidV5 } from '../../src/core/uuid.ts'
import { openSink } from '../../src/sinks/index.ts'
import { testSink } from './contract.ts'
import { startElkPeer, troubleNames } from './elk-peer.ts'

const numbers = new Map(Array.from({ length: 30 }, (_, i) => [uuidV5(`n ${i + 1}`), i + 1]))

for (const distribution of ['elasticsearch', 'opensearch'] as const) {
  testSink({
    name: `elk, as ${distribution}`,
    troubles: distribution === 'elasticsearch' ? troubleNames : ['some items 429'],
    hangs: 'no answer',
    open: async (t) => {
      const peer = await startElkPeer(t, distribution)
      const sink = await openSink(
        { type: 'elk', name: 'elk', config: { elasticsearch_url: peer.url, timeout: 0.5 } },
        { log: pino({ level: 'silent' }) },
      )
      t.after(() => sink.close?.())
      return {
        deliver: sink.deliver,
        trouble: peer.trouble,
        get took() {
          const found = [...peer.documents.values()].map(({ idempotency_key: key }) => key)
          return new Set(found.map((key) => numbers.get(key) ?? 0))
        },
        refused: new Set<number>(),
      }
    },
  })
}
