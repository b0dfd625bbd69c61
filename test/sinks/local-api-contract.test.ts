import { pino } from 'pino'
import { openSink } from '../../src/sinks/index.ts'
import { testSink } from './contract.ts'
import { startPeer, troubleNames } from './local-api-peer.ts'

testSink({
  name: 'local_api',
  troubles: troubleNames,
  hangs: 'no answer',
  open: async (t) => {
    const peer = await startPeer(t)
    const { deliver } = await openSink(
      { type: 'local_api', name: 'sink', config: { base_url: peer.url, timeout: 0.5 } },
      { log: pino({ level: 'silent' }) },
    )
    return { ...peer, deliver }
  },
})
