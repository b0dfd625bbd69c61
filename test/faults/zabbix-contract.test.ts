import { pino } from 'pino'
import { openSink } from '../../src/sinks/index.ts'
import { testSink } from '../sinks/contract.ts'
import { startZabbixPeer, troubleNames } from '../sinks/zabbix-peer.ts'

testSink({
  name: 'zabbix',
  troubles: troubleNames,
  hangs: 'no answer',
  open: async (t) => {
    const peer = await startZabbixPeer(t)
    const config = {
      ...{ zabbix_server: `127.0.0.1:${peer.port}`, host: 'wafermon', timeout: 0.5 },
      ...{ history_days: 9125, unknown_key_wait_s: 0 },
    }
    const sink = await openSink(
      { type: 'zabbix', name: 'zabbix', config },
      { log: pino({ level: 'silent' }) },
    )
    t.after(() => sink.close?.())
    return {
      deliver: sink.deliver,
      trouble: (name) =>
        peer.order({
          trouble: name,
          host: name === 'a host that is not known' ? 'another' : 'wafermon',
        }),
      // The value of event n is n hundredths.
      get took() {
        const values = [...peer.values].map((text) => Number(text.split(' ').at(-1)))
        return new Set(values.map((value) => Math.round(value * 100)))
      },
      refused: new Set<number>(),
    }
  },
})
