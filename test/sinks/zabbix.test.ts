import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import fc from 'fast-check'
import { pino } from 'pino'
import { type Delivery, Outgoing } from '../../src/core/delivery.ts'
import type { Event } from '../../src/core/event.ts'
import { fromMs } from '../../src/core/time.ts'
import { openSink } from '../../src/sinks/index.ts'
import { readEntries } from '../../src/sinks/read-entries.ts'
import {
  maxAnswerBytes,
  PeerError,
  parseAnswer,
  toPacket,
} from '../../src/sinks/zabbix/exchange.ts'
import { readCounts } from '../../src/sinks/zabbix/judge.ts'
import { makeKey, readKeyTemplate } from '../../src/sinks/zabbix/key.ts'
import { until } from '../support/processes.ts'
import { wholeEvent } from '../support/whole-event.ts'
import { runs } from '../support/wild.ts'
import { startZabbixPeer, troubleNames } from './zabbix-peer.ts'

const { signal } = new AbortController()
const now = () => fromMs(Date.now())

type Parts = { app?: string; site?: string; type?: 'job' | 'subjob' } & Partial<Event['event']>

/** An event of now, as a spool hands it out. */
function sent(seq: number, { app = 'etch', site = 'fab1', type = 'job', ...event }: Parts = {}) {
  const whole = wholeEvent(seq, { at: now(), ...event })
  const body = {
    ...{ ...whole, site_id: site, app: { ...whole.app, name: app } },
    entity: { ...whole.entity, type },
  }
  return new Outgoing(seq, JSON.stringify(body))
}

async function open(t: TestContext, config: object = {}) {
  const peer = await startZabbixPeer(t)
  const lines: string[] = []
  const sink = await openSink(
    {
      ...{ type: 'zabbix', name: 'zabbix' },
      config: { zabbix_server: `127.0.0.1:${peer.port}`, host: 'wafermon', ...config },
    },
    { log: pino({}, { write: (line) => lines.push(line) }) },
  )
  return { peer, sink, lines }
}

const taken = (count: number): Delivery => ({
  kind: 'judged',
  verdicts: Array.from({ length: count }, () => 'taken' as const),
})
const verdictsOf = (answer: Delivery) => (answer.kind === 'judged' ? answer.verdicts : [answer])
/** Key and value of all that was taken. */
const pairsOf = (values: ReadonlySet<string>) =>
  [...values]
    .filter((text) => !text.startsWith('wafer.discovery'))
    .map((text) => text.replace(/ [\d.]+ (?=[^ ]+$)/, ' '))

describe('a sink of Zabbix', () => {
  test('sends the numbers of each event, under keys of its app', async (t) => {
    const { peer, sink } = await open(t)
    const start = fromMs(Date.now() - 2500)
    const batch = [
      sent(1, { kind: 'started', type: 'subjob' }),
      sent(2, { kind: 'progress', metrics: { progress: 0.25 } }),
      sent(3, { kind: 'metric', metrics: { cd_nm: 38.1, 'a,b': -1e-7 } }),
      sent(4, { kind: 'finished', metrics: { duration_s: 12.5, cd_nm: 1 } }),
      sent(5, {
        kind: 'canceled',
        metrics: {},
        started_at: start,
        ended_at: fromMs(Date.parse(start) + 2000),
      }),
      sent(6, { kind: 'error' }),
      sent(7, { kind: 'progress', metrics: {} }),
    ]
    assert.deepEqual(await sink.deliver(batch, signal), taken(7))
    assert.deepEqual(pairsOf(peer.values), [
      'wafer.subjob.started[etch] 1',
      'wafer.job.progress[etch] 0.25',
      'wafer.job.metric[etch,cd_nm] 38.1',
      'wafer.job.metric[etch,"a,b"] -1e-7',
      'wafer.job.finished[etch] 12.5',
      'wafer.job.canceled[etch] 2',
      'wafer.job.error[etch] 1',
    ])
    assert.deepEqual([peer.packets[0]?.flags, peer.keys.length], [1, 1])
  })

  test('gives a value the time of its event, and the same one each time', async (t) => {
    const { peer, sink } = await open(t)
    const [at, ms] = [now(), Date.now()]
    const [first, second] = [sent(1, { at }), sent(2, { at })]
    for (let i = 0; i < 3; i++) await sink.deliver([first, second], signal)
    const all = peer.packets.flatMap(({ took }) => took).filter(({ key }) => /job/.test(key))
    assert.deepEqual([all.length, new Set(all.map(({ ns }) => ns)).size], [6, 2])
    for (const { clock, ns } of all) {
      assert.equal(Math.floor(ns / 1000), Number(at.slice(20, 26)))
      assert.ok(Math.abs(clock * 1000 - ms) < 60_000)
    }
  })

  test('tells the rules of discovery which apps and metrics there are, once, and again when there are more', async (t) => {
    const { peer, sink } = await open(t)
    const deliver = (...batch: Outgoing[]) => sink.deliver(batch, signal)
    await deliver(sent(1), sent(2, { app: 'litho', kind: 'metric', metrics: { dose: 1 } }))
    await deliver(sent(3), sent(4, { app: 'litho', site: 'fab2' }))
    const lists = () => peer.packets.filter(({ took }) => took[0]?.key.startsWith('wafer.disc'))
    assert.equal(lists().length, 2)
    const [etch, litho] = ['etch', 'litho'].map((app) => ({ '{#APP}': app, '{#SITE}': 'fab1' }))
    assert.deepEqual(peer.discovered(), [etch, litho])
    assert.deepEqual(peer.discovered('wafer.discovery.metrics'), [
      { ...litho, '{#METRIC}': 'dose' },
    ])
    await deliver(sent(5, { app: '[x] "y"' }))
    assert.equal(lists().length, 3)
    assert.deepEqual(peer.discovered().at(-1), { '{#APP}': '[x] "y"', '{#SITE}': 'fab1' })
  })

  test('tells sites apart where its keys do', async (t) => {
    const { peer, sink } = await open(t, { key: 'w.{kind}.{status}[{site},{app}]' })
    await sink.deliver([sent(1), sent(2, { site: 'fab2', status: 'failed' })], signal)
    assert.deepEqual(pairsOf(peer.values), [
      'w.finished.succeeded[fab1,etch] 1.5',
      'w.finished.failed[fab2,etch] 1.5',
    ])
    assert.equal(peer.discovered().length, 2)
  })

  test('offers what has a key that is not known again, on its own, and the rest goes on', async (t) => {
    const { peer, sink } = await open(t, { unknown_key_wait_s: 600 })
    peer.order({ unknown: ['wafer.job.finished[new]'] })
    const fresh = sent(2, { app: 'new' })
    const answer = await sink.deliver([sent(1), fresh, sent(3)], signal)
    assert.deepEqual(verdictsOf(answer), ['taken', 'later', 'taken'])
    // It has been found: it takes no packet of others with it, and is not asked for each time.
    const before = peer.packets.length
    assert.deepEqual(verdictsOf(await sink.deliver([sent(4), fresh], signal)), ['taken', 'later'])
    assert.deepEqual(peer.keys.slice(-1), [['wafer.job.finished[etch]']])
    assert.equal(peer.packets.length, before + 1)
    assert.deepEqual(await sink.deliver([fresh], signal), {
      kind: 'failed',
      reason: 'the key wafer.job.finished[new] of wafermon is still unknown to it',
    })
  })

  test('takes it once Zabbix knows the key', async (t) => {
    const { peer, sink } = await open(t, { unknown_key_wait_s: 5 })
    peer.order({ unknown: ['wafer.job.finished[new]'] })
    const fresh = sent(2, { app: 'new' })
    await sink.deliver([sent(1), fresh], signal)
    peer.order({ unknown: [] })
    await until('the value to be taken', async () => {
      const [verdict] = verdictsOf(await sink.deliver([fresh], signal))
      return verdict === 'taken'
    })
    assert.equal(pairsOf(peer.values).filter((pair) => pair.includes('[new]')).length, 1)
  })

  test('refuses it when the wait is over, and names field, key and host', async (t) => {
    const { peer, sink } = await open(t, { unknown_key_wait_s: 0.5 })
    const unknown = ['wafer.job.finished[new]', 'wafer.job.metric[etch,cd]']
    peer.order({ unknown })
    const batch = [
      sent(1),
      sent(2, { app: 'new' }),
      sent(3, { kind: 'metric', metrics: { cd: 1, ok: 2 } }),
    ]
    assert.deepEqual(verdictsOf(await sink.deliver(batch, signal)), ['taken', 'later', 'later'])
    const refusal = (field: string, key: string) => ({
      ...{ field, detail: `has no item in Zabbix: the key ${key} is unknown on the host wafermon` },
    })
    await until('it to be refused', async () => {
      const [first, second] = verdictsOf(await sink.deliver(batch.slice(1), signal))
      if (typeof first !== 'object' || typeof second !== 'object' || 'kind' in first) return false
      assert.deepEqual(first, refusal('app.name', unknown[0] ?? ''))
      assert.deepEqual(second, refusal('event.metrics.cd', unknown[1] ?? ''))
      return true
    })
  })

  test('refuses nothing while the host is not known, however long', async (t) => {
    const { peer, sink } = await open(t, { unknown_key_wait_s: 0 })
    peer.order({ host: 'another' })
    for (let i = 0; i < 3; i++) {
      const answer = await sink.deliver([sent(1), sent(2)], signal)
      assert.equal(answer.kind, 'failed')
      assert.match(
        answer.kind === 'failed' ? answer.reason : '',
        /knows no key of the host wafermon/,
      )
    }
    peer.order({ host: 'wafermon' })
    assert.deepEqual(await sink.deliver([sent(1), sent(2)], signal), taken(2))
  })

  test('refuses by itself what Zabbix would drop without a word, with field and limit', async (t) => {
    const { peer, sink } = await open(t, { history_days: 30 })
    const days = (n: number) => fromMs(Date.now() - n * 86_400_000)
    const noNumber = new Outgoing(9, sent(9).body.replace('1.5', '1e999'))
    const batch = [
      sent(1, { at: days(31) }),
      sent(2, { at: '2038-01-19T03:14:08.000000Z' }),
      sent(3, { kind: 'metric', metrics: { far: 1.7e308 } }),
      sent(4, { metrics: { duration_s: -1.1e308 } }),
      sent(5, { app: 'a,\\' }),
      sent(6, { kind: 'metric', metrics: { ['x'.repeat(2048)]: 1 } }),
      new Outgoing(7, '{"torn'),
      new Outgoing(8, '{"event":{}}'),
      noNumber,
      sent(10, { at: '2037-12-31T00:00:00.000000Z' }),
    ]
    const verdicts = verdictsOf(await sink.deliver(batch, signal))
    assert.equal(verdicts.at(-1), 'taken')
    const said = verdicts.slice(0, -1).map((verdict) => {
      const { field, detail } = verdict as { field: string; detail: string }
      return `${field}: ${detail}`
    })
    for (const [i, expected] of [
      /^event\.at: is older than 30 days \(history_days\)/,
      /^event\.at: is after 2038-01-19T03:14:07Z/,
      /^event\.metrics\.far: is beyond 1e\+308/,
      /^event\.metrics\.duration_s: is beyond 1e\+308/,
      /^app\.name: makes no key of Zabbix: over 2048/,
      /^event\.metrics\.x+: makes no key of Zabbix: over 2048/,
      /^: is not JSON/,
      /^app\.name: is not text/,
      /^event\.metrics\.duration_s: is not a number/,
    ].entries()) {
      assert.match(said[i] ?? '', expected)
    }
    assert.equal(pairsOf(peer.values).length, 1)
  })

  test('sends a packet of at most 250 values', async (t) => {
    const { peer, sink } = await open(t)
    const batch = Array.from({ length: 600 }, (_, i) => sent(i, { app: `app ${i % 7}` }))
    assert.deepEqual(await sink.deliver(batch, signal), taken(600))
    const sizes = peer.packets.map(({ sent: values }) => values.length)
    assert.deepEqual(sizes, [1, 250, 250, 100])
  })

  test('sends again what a server took in its last ten seconds, after it was away', async (t) => {
    const { peer, sink } = await open(t, { timeout: 5 })
    await sink.deliver([sent(1), sent(2)], signal)
    const before = peer.values
    await peer.kill()
    const answer = await sink.deliver([sent(3)], signal)
    const reason = 'it cannot be reached (ECONNREFUSED)'
    assert.deepEqual(answer, { kind: 'failed', reason })
    await sink.deliver([sent(3)], signal)
    // What it had not written is gone.
    peer.packets.length = 0
    await peer.start()
    assert.deepEqual(await sink.deliver([sent(3)], signal), taken(1))
    for (const value of before)
      if (!value.includes('disc')) assert.ok(peer.values.has(value), value)
    const count = peer.packets.length
    await sink.deliver([sent(4)], signal)
    assert.equal(peer.packets.length, count + 1)
  })

  test('asks without an event whether it could deliver', async (t) => {
    const { peer, sink } = await open(t, { timeout: 1 })
    assert.equal(await sink.probe?.(signal), undefined)
    assert.deepEqual(
      peer.packets.map(({ sent: values }) => values.length),
      [0],
    )
    peer.order({ trouble: 'a page of a web server' })
    assert.match(
      String(await sink.probe?.(signal)),
      /not answer as Zabbix does; check zabbix_server/,
    )
    await peer.kill()
    assert.equal(await sink.probe?.(signal), 'it cannot be reached (ECONNREFUSED)')
  })

  test('settles soon after it is told to stop', async (t) => {
    const { peer, sink } = await open(t, { timeout: 600 })
    peer.order({ trouble: 'no answer' })
    const stop = new AbortController()
    const delivery = sink.deliver([sent(1)], stop.signal)
    setTimeout(() => stop.abort(), 50)
    assert.equal((await delivery).kind, 'failed')
  })

  test('is tried with every lie of the stand-in', async (t) => {
    const { peer } = await open(t)
    const half = [
      'a packet that is read in part',
      'an answer that is lost',
      'a host that is not known',
    ]
    assert.deepEqual([...peer.lies, ...half].sort(), [...troubleNames].sort())
  })
})

describe('a key of Zabbix', () => {
  const template = readKeyTemplate('wafer.{entity_type}.{kind}[{app}]') ?? assert.fail()
  const fields = { entity_type: 'job', kind: 'error', status: 'running', site: 'fab1' }

  // As Zabbix 6.0.14 made them of `wafer.duration[{#APP}]`.
  for (const [app, param] of [
    ['plain', 'plain'],
    ['a b', 'a b'],
    ['a,b', '"a,b"'],
    ['a]b', '"a]b"'],
    ['[ab', '"[ab"'],
    ['a[b', 'a[b'],
    ['a"b', 'a"b'],
    ['"ab', '"\\"ab"'],
    [' lead', '" lead"'],
    ['trail ', 'trail '],
    ['a\\', 'a\\'],
    ['{x}', '{x}'],
    ['{kind}', '{kind}'],
    ['[x] "y" {z}', '"[x] \\"y\\" {z}"'],
    ['a\nb', 'a\nb'],
  ] as const) {
    test(`is quoted as Zabbix quotes it: ${JSON.stringify(app)}`, () => {
      assert.equal(makeKey(template, { ...fields, app }), `wafer.job.error[${param}]`)
    })
  }

  test('does not hold what would have to be quoted and ends with a backslash', () => {
    assert.equal(makeKey(template, { ...fields, app: 'a,\\' }), undefined)
  })

  test('tells different apps apart, and is read back', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', minLength: 1, maxLength: 40 }), (app) => {
        const key = makeKey(template, { ...fields, app })
        if (key === undefined) return assert.match(app, /\\$/)
        const param = key.slice('wafer.job.error['.length, -1)
        const isQuoted = param.startsWith('"')
        assert.equal(isQuoted ? param.slice(1, -1).replaceAll('\\"', '"') : param, app)
        if (!isQuoted) assert.doesNotMatch(param, /[\],]/)
      }),
      { numRuns: runs(500) },
    )
  })
})

describe('an answer of Zabbix', () => {
  const info = (processed: number, failed: number, total: number) =>
    JSON.stringify({
      ...{ response: 'success' },
      info: `processed: ${processed}; failed: ${failed}; total: ${total}; seconds spent: 0.000055`,
    })

  test('is believed when it is about as many values as were sent', () => {
    assert.deepEqual(readCounts(info(3, 2, 5), 5), { processed: 3, failed: 2 })
    for (const wrong of [info(3, 0, 3), info(5, 0, 6), info(5, 1, 5), info(0, 0, 0), '[]', '"5"']) {
      assert.throws(() => readCounts(wrong, 5), PeerError)
    }
  })

  test('is whole, not whole yet, or a failure, whatever comes in whatever parts', () => {
    const bytes = fc.oneof(
      fc.uint8Array({ maxLength: 40 }).map((array) => Buffer.from(array)),
      fc.string({ unit: 'binary' }).map(toPacket),
      fc
        .tuple(fc.integer({ min: 0, max: 255 }), fc.nat(2 ** 32 - 1), fc.uint8Array())
        .map(([flags, length, body]) => {
          const head = toPacket('')
          head[4] = flags
          head.writeUInt32LE(length, 5)
          return Buffer.concat([head, body])
        }),
    )
    fc.assert(
      fc.property(bytes, fc.integer({ min: 1, max: 5 }), (got, sentValues) => {
        const answer = parseAnswer(got)
        if (answer === undefined) return assert.ok(got.length < maxAnswerBytes + 13)
        if (answer instanceof PeerError) return assert.match(answer.message, /^\w+ \w+/)
        assert.throws(() => readCounts(answer, sentValues), PeerError)
      }),
      { numRuns: runs(1000) },
    )
  })
})

describe('the settings of zabbix', () => {
  const read = (config: object) =>
    readEntries(
      [{ type: 'zabbix', name: 'z', config: { zabbix_server: 'z', host: 'h', ...config } }],
      {},
    )
  const addressOf = (zabbix_server: string) => {
    const { value, problems } = read({ zabbix_server })
    return value ? value.length : problems[0]
  }

  test('take the files of the earlier system as they are, and warn of a token', () => {
    const old = {
      zabbix_server: 'http://zabbix.example.com',
      host: 'wafer-monitor',
      auth_token: 'hunter2',
    }
    const { problems, warnings } = read(old)
    assert.deepEqual(problems, [])
    assert.equal(warnings.length, 1)
    assert.match(warnings[0] ?? '', /sink z: auth_token: is not used/)
    assert.doesNotMatch(warnings[0] ?? '', /hunter2/)
  })

  for (const server of ['z', 'z.example:10051', '[::1]:1', '10.1.2.3', 'https://z:10051/zabbix/']) {
    test(`take the address ${server}`, () => assert.equal(addressOf(server), 1))
  }
  for (const server of ['', 'z:0', 'z:65536', 'z:port', 'u@z', 'z/path', 'ftp://z', 'http://']) {
    test(`refuse the address ${server}`, () =>
      assert.match(String(addressOf(server)), /zabbix_server: must be a host, or host:port/))
  }
  for (const [what, config, message] of [
    ['a host with a comma', { host: 'a,b' }, /host: must be the technical name/],
    ['an unknown placeholder', { key: 'wafer[{lot}]' }, /key: must be a key of Zabbix/],
    ['an app outside of brackets', { key: 'wafer.{app}' }, /key: must be a key of Zabbix/],
    ['a quoted parameter', { key: 'wafer["{app}"]' }, /key: must be a key of Zabbix/],
    ['no days', { history_days: 0 }, /history_days: must be a whole number from 1 to 9125/],
    ['an endless wait', { unknown_key_wait_s: 1e9 }, /unknown_key_wait_s: must be a number from 0/],
  ] as const) {
    test(`refuse ${what}`, () => assert.match(read(config).problems.join('\n'), message))
  }
})
