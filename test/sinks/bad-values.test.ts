import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, type TestContext, test } from 'node:test'
import { zstdDecompressSync } from 'node:zlib'
import { DuckDBInstance } from '@duckdb/node-api'
import { pino } from 'pino'
import { Webhook } from 'standardwebhooks'
import { Outgoing } from '../../src/core/delivery.ts'
import type { Event } from '../../src/core/event.ts'
import { fromMs } from '../../src/core/time.ts'
import { openSink } from '../../src/sinks/index.ts'
import { freshFolder } from '../support/processes.ts'
import { needsProtos } from '../support/sid.ts'
import { wholeEvent } from '../support/whole-event.ts'
import {
  checkLogs,
  type Datum,
  findWrongMetrics,
  findWrongSegment,
  type Json,
  type LogEvent,
  readInput,
} from './aws-checks.ts'
import { useTestKeys } from './aws-peer.ts'
import { startElkPeer } from './elk-peer.ts'
import { send, startHttpPeer } from './http-peer.ts'
import { keyOf, startOtlpPeer, valuesOf } from './otlp-peer.ts'
import { startZabbixPeer } from './zabbix-peer.ts'

/* Values that break a format come out at the reader of each sink as they went in, or as documented. */

const { signal } = new AbortController()

// AWS takes no old ones.
const at = fromMs(Date.now() - 60_000)

/** What a reader must have of an event: its name here, its lot, its metadata. */
type Found = { lot: unknown; metadata: unknown }

const nested = (levels: number, end: unknown) =>
  Array.from({ length: levels }).reduce<unknown>((inner) => ({ inner }), end)

const lots: Readonly<Record<string, string>> = {
  'a comma, quotes and line ends': 'a,"b"\r\n\'c\';\td',
  'a formula': "=cmd|' /C calc'!A0",
  'a path': '../../../../etc/passwd',
  'what a key of Zabbix is made of': 'wafer.job.finished[a,"b"] { }',
  'a line of NDJSON': '{"create":{"_index":"x"}}\n{"a":1}',
  'what looks like a header': 'x\r\nwebhook-id: 1',
  'other alphabets': 'é 𝒳 \u2028 \ufeff \u007f',
}

const metadatas: Readonly<Record<string, unknown>> = {
  'names with brackets and quotes': { '[ ] " { }': 1, 'a,b': { '': [] } },
  'names with dots beside their parts': { 'a.b': 1, a: { b: 2 }, '.': 3, 'x.': { y: 4 } },
  'names of JavaScript': JSON.parse('{"__proto__":{"a":1},"constructor":2,"toString":null}'),
  'a name that is not given': { '': 0 },
  '64 kB of text': { long: 'x'.repeat(64_000) },
  '32 levels': nested(29, 1),
  'one name with every type': [{ v: 1 }, { v: 'x' }, { v: null }, { v: [true] }, { v: { v: 1 } }],
  formulas: { '=1+1': '=2+2', '@x': '+3', '-': '-4', '\t=': '\r=' },
}

function* hostileEvents(): Generator<[string, Event]> {
  let seq = 0
  for (const [name, lot] of Object.entries(lots)) {
    const event = wholeEvent(++seq, { at })
    yield [name, { ...event, entity: { ...event.entity, business_key: lot } }]
  }
  for (const [name, metadata] of Object.entries(metadatas)) {
    yield [name, wholeEvent(++seq, { at, metadata: { metadata } })]
  }
}

/** A kind of sink: one entry for each. */
type Kind = {
  type: string
  /** @returns the settings, and how its reader reads what was delivered */
  open(
    t: TestContext,
  ): Promise<{ config: Record<string, unknown>; read: () => Promise<Map<string, Found>> }>
  /** What its reader has instead of a lot. */
  shown?: (lot: string) => string
  /** Checks metadata that it does not have as it went in. */
  checkMetadata?: (found: unknown, sent: unknown, what: string) => void
  skip?: string | boolean
}

const foundIn = (events: readonly Event[]) =>
  new Map(
    events.map(({ idempotency_key, entity, event }) => [
      idempotency_key,
      { lot: entity.business_key, metadata: event.metadata },
    ]),
  )

const secret = `whsec_${Buffer.from('a secret of this test, 32 bytes.').toString('base64')}`

const webhook = (batch: boolean): Kind => ({
  type: 'webhook',
  async open(t) {
    const { url, asked } = await startHttpPeer(t, (_, response) => send(response, 204))
    return {
      config: { webhook_url: url, secret, batch },
      read: async () =>
        foundIn(
          asked.flatMap(({ request, body }) => {
            const headers = request.headers as Record<string, string>
            const found = new Webhook(secret).verify(body, headers)
            return batch ? (found as { events: Event[] }).events : [found as Event]
          }),
        ),
    }
  },
})

/** Before characters that begin a formula, wherever a program could take them for the begin of a field. */
const withApostrophes = (text: string) => text.replaceAll(/(^|[\r\n;,\t])(?=[=+\-@\t\r\n])/g, "$1'")

const kinds: Readonly<Record<string, Kind>> = {
  csv: {
    type: 'csv',
    async open() {
      const dir = join(freshFolder(), 'events')
      return {
        config: { output_dir: dir },
        async read() {
          const rows = await query(
            `select * from read_csv('${openFileIn(dir)}', header = true, all_varchar = true, max_line_size = 1000000)`,
          )
          return new Map(
            rows.map((row) => [
              String(row.idempotency_key),
              { lot: row.business_key, metadata: JSON.parse(String(row.metadata_json)) },
            ]),
          )
        },
      }
    },
    shown: withApostrophes,
  },
  json: {
    type: 'json',
    async open() {
      const dir = join(freshFolder(), 'events')
      return {
        config: { output_dir: dir },
        async read() {
          // By DuckDB: it finds as many lines as there are events.
          const [{ n = 0 } = {}] = await query(
            `select count(*)::int as n from read_json('${openFileIn(dir)}', format = 'newline_delimited', columns = {site_id: 'VARCHAR'})`,
          )
          const lines = readFileSync(openFileIn(dir), 'utf8').trimEnd().split('\n')
          assert.equal(lines.length, n)
          return foundIn(lines.map((line) => JSON.parse(line) as Event))
        },
      }
    },
  },
  webhook: webhook(false),
  'webhook, in batches': webhook(true),
  elk: {
    type: 'elk',
    async open(t) {
      const peer = await startElkPeer(t)
      return {
        config: { elasticsearch_url: peer.url },
        read: async () =>
          new Map(
            [...peer.documents.values()].map((document) => [
              document.idempotency_key,
              { lot: document.business_key, metadata: document.metadata },
            ]),
          ),
      }
    },
  },
  otlp: {
    type: 'otlp',
    async open(t) {
      const peer = await startOtlpPeer(t)
      const read = async () =>
        new Map(
          peer.took.map((span) => {
            const values = valuesOf(span.attributes)
            const metadata = JSON.parse(String(values['wafermon.metadata']))
            return [keyOf(span), { lot: values['wafermon.business_key'], metadata }]
          }),
        )
      return { config: { endpoint: peer.url }, read }
    },
    skip: needsProtos.skip,
  },
  aws_cloudwatch: {
    type: 'aws_cloudwatch',
    async open(t) {
      const { url, inputs } = await startPlainAws(t)
      const read = async () => {
        const lines = inputs.flatMap(({ logEvents = [] }) => logEvents as LogEvent[])
        checkLogs(lines)
        for (const input of inputs) {
          const data = (input.MetricData ?? []) as Datum[]
          assert.equal(findWrongMetrics(data, JSON.stringify(input)), undefined)
        }
        const documents = lines.map(({ message }) => JSON.parse(message) as Json)
        return new Map(
          documents.map(({ idempotency_key, business_key, metadata }) => [
            String(idempotency_key),
            { lot: business_key, metadata },
          ]),
        )
      }
      return { config: { aws_region: 'eu-central-1', endpoint: url }, read }
    },
  },
  aws_xray: {
    type: 'aws_xray',
    async open(t) {
      const { url, inputs } = await startPlainAws(t)
      const read = async () => {
        const sent = inputs.flatMap((input) => (input.TraceSegmentDocuments ?? []) as string[])
        return new Map(
          sent.map((document) => {
            const segment = JSON.parse(document) as Json
            assert.equal(findWrongSegment(segment, document), undefined)
            const { idempotency_key, business_key } = segment.annotations as Json
            const { wafermon } = segment.metadata as { wafermon: Json }
            const { metadata } = wafermon
            return [String(idempotency_key), { lot: business_key, metadata }]
          }),
        )
      }
      return { config: { aws_region: 'eu-central-1', endpoint: url }, read }
    },
    // Over 8 KiB it is cut.
    checkMetadata(found, sent, what) {
      if (JSON.stringify(sent).length <= 8192) return assert.deepEqual(found, sent, what)
      const { truncated, metadata } = found as { truncated: boolean; metadata: { long: string } }
      assert.deepEqual([truncated, Object.keys(metadata)], [true, ['long']])
      assert.match(metadata.long, /^x{7000,}… \[cut from 64000 characters\]$/)
    },
  },
  local_api: {
    type: 'local_api',
    async open(t) {
      const taken: Event[] = []
      const { url } = await startBinaryPeer(t, taken)
      return { config: { base_url: url }, read: async () => foundIn(taken) }
    },
  },
  module: {
    type: 'module',
    async open() {
      const dir = freshFolder()
      const [path, lines] = [join(dir, 'own.mjs'), join(dir, 'lines')]
      writeFileSync(
        path,
        `import { appendFileSync } from 'node:fs'
export const open = ({ lines }) => ({
  deliver(batch) {
    for (const { body } of batch) appendFileSync(lines, JSON.stringify(body) + '\\n')
    return { kind: 'judged', verdicts: batch.map(() => 'taken') }
  },
})
`,
      )
      const read = async () => {
        const bodies = readFileSync(lines, 'utf8').trimEnd().split('\n')
        return foundIn(bodies.map((body) => JSON.parse(JSON.parse(body) as string) as Event))
      }
      return { config: { path, options: { lines } }, read }
    },
  },
}

/** Name and only parameter of a key, as Zabbix reads them: within quotes a quote alone is escaped. */
function readKey(key: string): string {
  const [, name, plain, quoted] = /^([\w.]+)\[(?:([^"[ ,\]][^,\]]*)|"(.*)")\]$/s.exec(key) ?? []
  return `${name} ${plain ?? quoted?.replaceAll('\\"', '"')}`
}

const openFileIn = (dir: string) =>
  join(dir, readdirSync(dir).find((name) => name.startsWith('open_')) ?? 'none')

async function query(sql: string): Promise<Record<string, unknown>[]> {
  const connection = await (await DuckDBInstance.create()).connect()
  const rows = await (await connection.runAndReadAll(sql)).getRowObjects()
  connection.closeSync()
  return rows as Record<string, unknown>[]
}

/** AWS that takes everything. @returns what it was sent, in order */
async function startPlainAws(t: TestContext) {
  useTestKeys()
  const inputs: Json[] = []
  const { url } = await startHttpPeer(t, ({ request: { headers }, bytes }, response) => {
    inputs.push(readInput({ headers, body: bytes }))
    send(response, 200, {}, { 'x-amzn-requestid': '0193581e' })
  })
  return { url, inputs }
}

/** A local API that keeps what it is sent. Bodies are compressed. */
async function startBinaryPeer(t: TestContext, taken: Event[]) {
  const { createServer } = await import('node:http')
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk as Buffer)
    const events = JSON.parse(String(zstdDecompressSync(Buffer.concat(chunks)))) as Event[]
    taken.push(...events)
    const { length: total } = events
    send(response, 200, { total, success: total, failed: 0, rejected: [] })
  })
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  t.after(() => server.close())
  t.after(() => server.closeAllConnections())
  return { url: `http://127.0.0.1:${(server.address() as { port: number }).port}` }
}

async function openKind(t: TestContext, { type, open }: Kind) {
  const { config, read } = await open(t)
  const sink = await openSink({ type, name: type, config }, { log: pino({ level: 'silent' }) })
  t.after(() => sink.close?.())
  return { sink, read, config }
}

describe('values that break a format', () => {
  for (const [name, kind] of Object.entries(kinds)) {
    const { skip = false } = kind
    test(`come out at the reader as they went in: ${name}`, { skip }, async (t) => {
      const { sink, read } = await openKind(t, kind)
      const events = [...hostileEvents()]
      const batch = events.map(([, event], i) => new Outgoing(i + 1, JSON.stringify(event)))
      const answer = await sink.deliver(batch, signal)
      const taken = { kind: 'judged', verdicts: batch.map(() => 'taken') }
      assert.deepEqual({ ...answer, state: undefined }, { ...taken, state: undefined })
      const found = await read()
      assert.equal(found.size, events.length)
      for (const [what, { idempotency_key, entity, event }] of events) {
        const { lot, metadata } = found.get(idempotency_key) ?? {}
        const { shown = (text: string) => text, checkMetadata = assert.deepEqual } = kind
        assert.equal(lot, shown(String(entity.business_key)), what)
        checkMetadata(metadata, event.metadata, what)
      }
    })
  }

  // Our own API judges what it is sent, and a module is given the text.
  const judging = Object.entries(kinds).filter(([name]) => !['local_api', 'module'].includes(name))
  for (const [name, kind] of judging) {
    const { skip = false } = kind
    test(`are refused by field where nothing could take them: ${name}`, { skip }, async (t) => {
      const { sink } = await openKind(t, kind)
      const bodies = [
        JSON.stringify(wholeEvent(1, { metadata: { note: 'a\0b' } })),
        JSON.stringify(wholeEvent(2, { metadata: { note: '\ud83d' } })),
        JSON.stringify(wholeEvent(3, { metadata: { a: nested(40, 1) } })),
        JSON.stringify(wholeEvent(4)).replace('1.5', '1e999'),
        '{"torn',
      ]
      const batch = bodies.map((body, i) => new Outgoing(i + 1, body))
      const answer = await sink.deliver(batch, signal)
      const fields =
        answer.kind === 'judged'
          ? answer.verdicts.map((verdict) =>
              typeof verdict === 'string' ? verdict : verdict.field,
            )
          : [answer.kind]
      const deep = fields[2] ?? ''
      assert.match(deep, /^event\.metadata\.a/)
      const note = 'event.metadata.note'
      assert.deepEqual(fields, [note, note, deep, 'event.metrics.duration_s', ''])
    })
  }

  test('leave each value under the key of its app, and numbers as they are: zabbix', async (t) => {
    const peer = await startZabbixPeer(t)
    const config = { zabbix_server: `127.0.0.1:${peer.port}`, host: 'wafermon' }
    const log = pino({ level: 'silent' })
    const sink = await openSink({ type: 'zabbix', name: 'zabbix', config }, { log })
    const numbers = [0, 5e-324, 1e21, 1e308, 0.1 + 0.2, 2 ** 53]
    const apps = [...Object.values(lots), '[x] "y" {z}', ' ', '"', ',', ']', 'a\\b', '\\,"\\"']
    const events = apps.map((name, i) => {
      const event = wholeEvent(i + 1, { at, metrics: { duration_s: numbers[i % numbers.length]! } })
      return { ...event, app: { ...event.app, name } }
    })
    // Of metadata and lots Zabbix has nothing.
    const others = [...hostileEvents()].map(([, event]) => event)
    const batch = [...events, ...others].map((event, i) => {
      return new Outgoing(i + 1, JSON.stringify(event))
    })
    const answer = await sink.deliver(batch, signal)
    const taken = { kind: 'judged', verdicts: batch.map(() => 'taken') }
    assert.deepEqual({ ...answer, state: undefined }, { ...taken, state: undefined })
    const values = peer.packets.flatMap(({ took }) => took)
    const found = new Map(values.map(({ key, value }) => [readKey(key), Number(value)]))
    for (const { app, event } of events) {
      const name = `wafer.subjob.finished ${app.name}`
      assert.equal(found.get(name), event.metrics?.duration_s, name)
    }
  })

  for (const name of ['csv', 'json']) {
    test(`lead no file out of its folder: ${name}`, async (t) => {
      const { sink, config } = await openKind(t, kinds[name] as Kind)
      const { output_dir } = config as { output_dir: string }
      const outside = '../../outside'
      const event = wholeEvent(1)
      const hostile = {
        ...event,
        idempotency_key: outside,
        site_id: outside,
        app: { ...event.app, name: '/tmp/outside', app_id: outside },
        entity: { ...event.entity, id: outside, sub_key: 'a/../../../b' },
        event: { ...event.event, kind: outside, at: outside },
      }
      const batch = [new Outgoing(1, JSON.stringify(hostile))]
      assert.equal((await sink.deliver(batch, signal)).kind, 'judged')
      await sink.close?.()
      assert.deepEqual(readdirSync(join(output_dir, '..')), ['events'])
      const names = readdirSync(output_dir)
      assert.ok(
        names.every((file) => !file.includes('outside')),
        names.join(),
      )
      assert.ok(!existsSync('/tmp/outside'))
    })
  }
})
