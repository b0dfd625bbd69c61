import assert from 'node:assert/strict'
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { describe, type TestContext, test } from 'node:test'
import { zstdDecompressSync } from 'node:zlib'
import { statusText } from '../../src/tools/spool/status.ts'
import { ageText } from '../../src/tools/table.ts'
import { makeToken } from '../../src/tools/token.ts'
import { freePort, freshFolder, startRole, until } from '../support/processes.ts'
import { lines, wafermon } from '../support/run.ts'
import { postEvents, startOfJob } from '../support/wire-events.ts'

type Sent = { entity: { business_key: string } }
type Row = { id: number; field: string; detail: string; event?: Sent }
type Status = {
  spool_count: number
  sinks: {
    'local-api': {
      lag_events: number
      rejects: number
      retrying?: number
      failures: number
      reason: string
    }
  }
}

/** A local API that refuses what `odd` says, with a reason that would clear a terminal. */
async function fussy(t: TestContext) {
  const api = { url: '', taken: [] as string[], odd: (_key: string): boolean => true }
  const server = createServer(async (request, response) => {
    if (request.url !== '/v1/ingest/events:batch') {
      response.writeHead(404).end()
      return
    }
    const batch = await bodyOf(request)
    const keys = batch.map(({ entity }) => entity.business_key)
    api.taken.push(...keys.filter((key) => !api.odd(key)))
    const rejected = keys.flatMap((key, index) =>
      api.odd(key) ? [{ index, field: 'event.at', detail: `odd: ${key}\u001b[2J` }] : [],
    )
    const failed = rejected.length
    const total = batch.length
    const answer = { ok: true, total, success: total - failed, failed, duplicates: 0, rejected }
    response.end(JSON.stringify(answer))
  })
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  t.after(() => server.close())
  t.after(() => server.closeAllConnections())
  api.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  return api
}

async function bodyOf(request: IncomingMessage): Promise<Sent[]> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk as Buffer)
  return JSON.parse(zstdDecompressSync(Buffer.concat(chunks)).toString()) as Sent[]
}

const sidecar = (t: TestContext, localApi: string, env: Record<string, string> = {}) =>
  startRole(t, 'sidecar', { SPOOL_DIR: freshFolder(), LOCAL_API_BASE: localApi, ...env })

async function send(url: string, keys: readonly string[]): Promise<void> {
  const batch = keys.map((business_key) =>
    startOfJob({ entity: { type: 'job', id: crypto.randomUUID(), business_key } }),
  )
  const answer = await postEvents(url, batch, ':batch')
  assert.equal(answer.status, 200)
}

const status = async (url: string) => (await (await fetch(`${url}/v1/healthz`)).json()) as Status

const rejected = (url: string, n: number) => {
  const ask = async () => {
    const { spool_count, sinks } = await status(url)
    const { rejects: resting, retrying = 0 } = sinks['local-api']
    return spool_count === 0 && resting === n && retrying === 0
  }
  return until(`${n} rejects`, ask, 120_000)
}

const rejects = (url: string, ...args: string[]) =>
  wafermon(['spool', 'rejects', ...args, '--url', url])

describe('wafermon spool rejects', () => {
  test('lists, shows, exports and retries what the local API refused', async (t) => {
    const api = await fussy(t)
    const { url } = await sidecar(t, api.url)
    assert.deepEqual(await rejects(url, 'list'), { code: 0, out: 'no rejects\n', err: '' })
    await send(url, ['L1', 'L2', 'L3'])
    await rejected(url, 3)

    const shown = await rejects(url, 'list', '--limit', '2')
    const [head, newest, ...rest] = shown.out.trimEnd().split('\n')
    assert.match(head ?? '', /^ID +REFUSED AT +SINK +SEQ +FIELD +REASON$/)
    assert.match(newest ?? '', /^3 +20\S+Z +local-api +3 +event\.at +odd: L3\uFFFD\[2J$/)
    assert.equal(rest.length, 1)
    assert.equal(shown.err, '2 of 3; --limit shows more\n')
    const listed = lines((await rejects(url, 'list', '--json')).out) as Row[]
    assert.deepEqual(
      listed.map(({ id, field }) => [id, field]),
      [3, 2, 1].map((id) => [id, 'event.at']),
    )

    const one = await rejects(url, 'show', '2')
    assert.match(one.out, /^id +2\n/)
    assert.match(one.out, /\n {4}"business_key": "L2"/)
    const json = JSON.parse((await rejects(url, 'show', '2', '--json')).out) as Row
    assert.equal(json.event?.entity.business_key, 'L2')
    const exported = lines((await rejects(url, 'export')).out) as Row[]
    assert.deepEqual(
      exported.map(({ event }) => event?.entity.business_key),
      ['L3', 'L2', 'L1'],
    )

    api.odd = (key) => key === 'L3'
    const retried = await rejects(url, 'retry', '2')
    assert.deepEqual(retried, { code: 0, out: 'offered again: 1\n', err: '' })
    await until('the event that was retried', () => api.taken.includes('L2'))
    const all = await rejects(url, 'retry', '--all', '--json')
    assert.deepEqual(JSON.parse(all.out), { retried: 2, missing: [] })
    await rejected(url, 1)
    assert.deepEqual(api.taken, ['L2', 'L1'])
  })

  test('drops those with the ids, or all up to one, and counts them', async (t) => {
    const api = await fussy(t)
    const { url } = await sidecar(t, api.url)
    await send(url, ['L1', 'L2', 'L3', 'L4', 'L5'])
    await rejected(url, 5)
    const one = await rejects(url, 'drop', '2', '9')
    assert.deepEqual(one, { code: 1, out: 'dropped: 1\n', err: 'there is no reject 9\n' })
    const some = await rejects(url, 'drop', '--up-to', '4', '--json')
    assert.deepEqual(JSON.parse(some.out), { dropped: 3, missing: [] })
    const none = await rejects(url, 'drop', '--up-to', '4')
    assert.deepEqual([none.code, none.err], [1, 'there is no reject 4 or before it\n'])
    const listed = lines((await rejects(url, 'list', '--json')).out) as Row[]
    assert.deepEqual(
      listed.map(({ id }) => id),
      [5],
    )
    const metrics = await (await fetch(`${url}/metrics`)).text()
    for (const said of [
      'wafermon_rejects{sink="local-api"} 1',
      'wafermon_reject_changes_total{sink="local-api",change="set_aside"} 5',
      'wafermon_reject_changes_total{sink="local-api",change="dropped"} 4',
    ]) {
      assert.ok(metrics.includes(said), said)
    }
    assert.deepEqual(api.taken, [])
  })

  test('retries every one of more than a page', async (t) => {
    const api = await fussy(t)
    const { url } = await sidecar(t, api.url)
    const keys = Array.from({ length: 1100 }, (_, i) => `L${i}`)
    await send(url, keys)
    await rejected(url, keys.length)
    const listed = await rejects(url, 'list', '--json', '--limit', '1050')
    assert.equal(new Set((lines(listed.out) as Row[]).map(({ id }) => id)).size, 1050)
    api.odd = () => false
    const all = await rejects(url, 'retry', '--all')
    assert.equal(all.out, 'offered again: 1,100\n')
    await rejected(url, 0)
    // A backlog goes out in lanes: only events of one job keep their order.
    assert.deepEqual(api.taken.toSorted(), keys.toSorted())
  })

  test('requires a token where the sidecar does, and says which', async (t) => {
    const file = join(freshFolder(), 'tokens')
    const SIDECAR_TOKEN = makeToken(file, ['read'])
    const operator = makeToken(file, ['operate'])
    const { url } = await sidecar(t, 'http://127.0.0.1:9', { TOKENS_FILE: file })
    const ask = (args: string[], env: Record<string, string>) =>
      wafermon(['spool', 'rejects', ...args, '--url', url], env)

    const without = await ask(['list'], {})
    assert.equal(without.code, 1)
    assert.match(without.err, /^a token with scope read is required: .*SIDECAR_TOKEN/)
    assert.equal((await ask(['list'], { SIDECAR_TOKEN })).code, 0)
    const reader = await ask(['retry', '1'], { SIDECAR_TOKEN })
    assert.match(reader.err, /^this token lacks the scope operate; .*SIDECAR_TOKEN/)
    const mayNot = await ask(['drop', '1'], { SIDECAR_TOKEN })
    assert.match(mayNot.err, /^this token lacks the scope operate; /)
    const missing = await ask(['retry', '1'], { SIDECAR_TOKEN: operator })
    assert.deepEqual(missing, {
      code: 1,
      out: 'offered again: 0\n',
      err: 'there is no reject 1\n',
    })
    const shown = await ask(['show', '7'], { SIDECAR_TOKEN })
    assert.deepEqual([shown.code, shown.err], [1, 'there is no reject 7\n'])
  })

  test('says what is wrong with an address at which no sidecar answers', async (t) => {
    const nobody = `http://127.0.0.1:${await freePort()}`
    const silent = await rejects(nobody, 'list')
    assert.deepEqual([silent.code, silent.out], [1, ''])
    assert.match(silent.err, /^the sidecar at \S+ cannot be reached \(ECONNREFUSED\): .*--url.*\n$/)
    const { url } = await startRole(t, 'web', { LOCAL_API: nobody })
    for (const args of [['list'], ['show', '1'], ['retry', '1'], ['retry', '--all'], ['export']]) {
      const { code, err } = await rejects(url, ...args)
      assert.equal(code, 1, args.join(' '))
      assert.match(err, /^\S+ answers \(HTTP 404\), but is not a sidecar; .*--url .*\n$/)
    }
    const health = await wafermon(['spool', 'status', '--url', url])
    assert.match(health.err, /answers \(HTTP 200\), but is not a sidecar/)
    const address = await rejects('fab1:8000', 'list')
    assert.equal(address.code, 2)
    assert.match(
      address.err,
      /SIDECAR_URL, by --url: must be a URL such as http:.* got "fab1:8000"\n$/,
    )
  })

  test('asks for the ids to drop, or --up-to, but not both', async () => {
    for (const args of [[], ['1', '--up-to', '2']]) {
      const { code, err } = await rejects('http://127.0.0.1:1', 'drop', ...args)
      assert.equal(code, 2)
      assert.match(err, /^error: give the ids to drop, or --up-to\n/)
    }
  })

  test('asks for the ids to retry, or --all, but not both', async () => {
    for (const args of [[], ['1', '--all']]) {
      const { code, err } = await rejects('http://127.0.0.1:1', 'retry', ...args)
      assert.equal(code, 2)
      assert.match(err, /^error: give the ids to retry, or --all\n/)
    }
  })
})

describe('wafermon spool status', () => {
  test('shows the events that wait, and why', async (t) => {
    const nobody = `http://127.0.0.1:${await freePort()}`
    const { url } = await sidecar(t, nobody)
    await send(url, ['L1', 'L2'])
    const { sinks } = await until('a delivery that failed', async () => {
      const found = await status(url)
      return found.sinks['local-api'].failures > 0 && found
    })
    assert.equal(sinks['local-api'].lag_events, 2)
    const json = await wafermon(['spool', 'status', '--json', '--url', url])
    assert.equal((JSON.parse(json.out) as Status).sinks['local-api'].lag_events, 2)
    const { code, out } = await wafermon(['spool', 'status'], { SIDECAR_URL: `${url}/` })
    assert.equal(code, 0)
    assert.match(out, /^spool +\/\S+\nstatus +degraded\nevents +2\nbytes +[\d,]+\noldest +\d+ s\n/)
    assert.match(out, /\nlocal-api +failing +2 +\d+ s +\d+ +0 +0 +\S.*\n$/)
    assert.ok(out.includes(sinks['local-api'].reason), out)
  })

  test('says what is missing and what is wrong, as health does', () => {
    const behind = { recorded: 200, found: 150, lost: 50 }
    const well = { status: 'ok', spool_count: 0, spool_bytes: 0, spool_dir: '/spool', sinks: {} }
    assert.doesNotMatch(statusText(well), /missing|record|source id|fault/)
    const text = statusText({
      ...{ ...well, status: 'degraded', behind, record: 'last-seq is damaged' },
      source_id_change: { now: 'node-7', why: 'source-id was damaged' },
      faults: ['csv: is not configured', 'local-api: events wait'],
    })
    assert.match(text, /\nmissing +events that were there before: .*"lost":50\}\n/)
    assert.match(text, /\nrecord +.*last-seq is damaged\n/)
    assert.match(text, /\nsource id +.*source-id was damaged.*\n/)
    assert.match(text, /\nfault +csv: is not configured\nfault +local-api: events wait\n/)
  })

  test('gives ages in two units at most', () => {
    assert.deepEqual([0.9, 119, 120, 7200, 12_000, 2 * 86_400 + 4 * 3600].map(ageText), [
      '0 s',
      '119 s',
      '2 min',
      '2 h 0 min',
      '3 h 20 min',
      '2 d 4 h',
    ])
  })
})
