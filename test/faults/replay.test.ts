import assert from 'node:assert/strict'
import { copyFileSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, type TestContext, test } from 'node:test'
import { fromMs } from '../../src/core/time.ts'
import { connect, type Store } from '../../src/store/connect.ts'
import { progressLine } from '../../src/tools/replay/progress.ts'
import { makeToken } from '../../src/tools/token.ts'
import { freshDatabase } from '../support/database.ts'
import { fakeSidecar } from '../support/fake-sidecar.ts'
import { freshFolder, launch, startRole, until } from '../support/processes.ts'
import { lines, wafermon } from '../support/run.ts'

const op = { operation: 'test', table: 'none' }

type FabRecord = {
  job_id: string
  parent_id: string | null
  status: string
  start_ts: number | null
  end_ts: number | null
}

type Stored = {
  job_key: string
  status: string
  last_error: string | null
  metadata: Record<string, unknown>
  queued_at: string | null
  ended_at: string | null
  event_count: number
}

/** Ten minutes of a fab, as the program writes them. */
async function recorded(): Promise<{ file: string; records: FabRecord[] }> {
  const file = join(freshFolder(), 'fab.ndjson')
  const args = ['simulate', '--records', file, '--seed', '7', '--duration', '600', '--rate', '20']
  const { code, err } = await wafermon(args)
  assert.equal(code, 0, err)
  return { file, records: lines(readFileSync(file, 'utf8')) as FabRecord[] }
}

/** Rows that a replay must end with, and events that it must send. */
function expected(records: readonly FabRecord[]) {
  const rows: Record<string, { n: number; events: number }> = {}
  for (const { parent_id, status, start_ts, end_ts } of records) {
    const stored = start_ts === null ? 'queued' : status === 'completed' ? 'succeeded' : status
    const name = `${parent_id ? 'subjob' : 'job'} ${stored}`
    rows[name] ??= { n: 0, events: 0 }
    const row = rows[name]
    row.n++
    row.events += start_ts === null || end_ts === null ? 1 : 2
  }
  return rows
}

type Counted = { kind: string; status: string; n: number; events: number; updated: string }

/** The state that would change if anything did. */
async function counted(store: Store): Promise<Counted[]> {
  const of = (table: string) =>
    `select '${table}' as kind, status, count(*)::int as n, sum(event_count)::int as events, max(updated_at)::text as updated from ${table} group by 2`
  const rows = await store.ask<Counted[]>(op, (sql) =>
    sql.unsafe(`${of('job')} union all ${of('subjob')} order by 1, 2`),
  )
  return rows.map((row) => ({ ...row }))
}

/** Replays through a sidecar with a new, empty spool, and waits until all of it is stored. */
async function replay(
  t: TestContext,
  file: string,
  localApi: string,
): Promise<Record<string, number>> {
  const sidecar = await startRole(t, 'sidecar', {
    SPOOL_DIR: freshFolder(),
    LOCAL_API_BASE: localApi,
  })
  const run = launch(['replay', file, '--url', sidecar.url, '--json'], {})
  assert.equal((await run.ended).code, 0, run.logs())
  await until('the spool to be empty', async () => {
    const health = (await (await fetch(`${sidecar.url}/v1/healthz`)).json()) as {
      spool_count: number
    }
    return health.spool_count === 0
  })
  await sidecar.stop()
  return JSON.parse(
    run
      .logs()
      .split('\n')
      .find((line) => line.startsWith('{'))!,
  ) as Record<string, number>
}

const received = async (localApi: string) => {
  const { items } = (await (await fetch(`${localApi}/v1/sources`)).json()) as {
    items: { received: number; gaps: unknown[] }[]
  }
  assert.deepEqual(
    items.flatMap((source) => source.gaps),
    [],
  )
  return items.reduce((sum, source) => sum + source.received, 0)
}

describe('wafermon replay', () => {
  test('ends with the counts of the file, and changes nothing the second time', async (t) => {
    const { url } = await freshDatabase(t)
    const store = connect(url, { role: 'test', max: 1 })
    t.after(() => store.close())
    const localApi = await startRole(t, 'local-api', { DATABASE_URL: url })
    const { file, records } = await recorded()
    const wanted = expected(records)

    const first = await replay(t, file, localApi.url)
    const rows = await counted(store)
    assert.deepEqual(
      Object.fromEntries(
        rows.map(({ kind, status, n, events }) => [`${kind} ${status}`, { n, events }]),
      ),
      wanted,
    )
    assert.ok(Object.keys(wanted).includes('job queued'), 'some lots wait')
    assert.deepEqual([first.records, first.timeless], [records.length, 0])
    const sent = Object.values(wanted).reduce((sum, { events }) => sum + events, 0)
    assert.deepEqual([first.sent, first.accepted, await received(localApi.url)], [sent, sent, sent])

    const copy = join(freshFolder(), 'elsewhere.ndjson')
    copyFileSync(file, copy)
    const second = await replay(t, copy, localApi.url)
    assert.deepEqual([second.sent, second.accepted], [sent, sent])
    assert.deepEqual(await counted(store), rows)
    assert.equal(await received(localApi.url), 2 * sent)
    const metrics = await (await fetch(`${localApi.url}/metrics`)).text()
    const duplicates =
      metrics.match(/events_processed_total\{event_type="\w+",status="duplicate"\} (\d+)/g) ?? []
    const sum = duplicates.reduce((total, line) => total + Number(line.split(' ').at(-1)), 0)
    assert.equal(sum, sent)
  })

  test('keeps what a record says of its wait, its end and its key', async (t) => {
    const { url } = await freshDatabase(t)
    const localApi = await startRole(t, 'local-api', { DATABASE_URL: url })
    const base = { trace: 't', app: 'a', start_ts: 1_767_592_800_000, end_ts: 1_767_592_809_000 }
    const records = [
      { name: 'coded', status: 'failed', exit_code: 137 },
      { name: 'worded', status: 'failed', exit_code: '1:0', message: 'no space left' },
      { name: 'in attrs', status: 'failed', attrs: { exit_code: 2, message: 'no such recipe' } },
      { name: 'both', status: 'failed', message: 'long story', attrs: { error: 'short' } },
      { name: 'reasoned', status: 'failed', attrs: { reason: 'NODE_FAIL' } },
      { name: 'bare', status: 'failed' },
      { name: 'unknown', status: 'unknown', submit_ts: 1_767_592_790_500 },
      { name: 'odd', status: 'OUT_OF_WORDS', attrs: { reason: 'power' } },
      { name: 'on', status: 'running', end_ts: null },
      ...['waiting', 'queued', 'pending'].map((status) => ({
        ...{ name: `${status} still`, status, start_ts: null, end_ts: null },
        ...{ submit_ts: 1_767_592_790_500, attrs: { reason: 'no tool' } },
      })),
      { name: `${'x'.repeat(255)}😀`, status: 'completed' },
      { name: `${'x'.repeat(254)}😀y`, status: 'completed' },
    ]
    const file = join(freshFolder(), 'ends.ndjson')
    const lines = records.map((record, i) => JSON.stringify({ ...base, job_id: `${i}`, ...record }))
    writeFileSync(file, lines.join('\n'))
    await replay(t, file, localApi.url)
    const answer = await fetch(`${localApi.url}/v1/jobs?from=2026-01-01T00:00:00Z`)
    const { items } = (await answer.json()) as { items: Stored[] }
    const job = (name: string) => {
      const found = items.find(({ job_key }) => job_key === name)
      return found && [found.status, found.last_error]
    }
    assert.deepEqual(job('coded'), ['failed', 'exit code 137'])
    assert.deepEqual(job('worded'), ['failed', 'no space left'])
    assert.deepEqual(job('in attrs'), ['failed', 'no such recipe'])
    assert.deepEqual(job('both'), ['failed', 'short'])
    assert.deepEqual(job('reasoned'), ['failed', 'NODE_FAIL'])
    assert.deepEqual(job('bare'), ['failed', 'error'])
    assert.deepEqual(job('unknown'), ['unknown', null])
    assert.deepEqual(job('odd'), ['unknown', null])
    assert.deepEqual(job('on'), ['running', null])
    for (const name of ['waiting still', 'queued still', 'pending still']) {
      assert.deepEqual(job(name), ['queued', null])
      const found = items.find(({ job_key }) => job_key === name)
      assert.deepEqual(found?.queued_at, '2026-01-05T05:59:50.500000Z')
    }
    const metadata = (name: string) => items.find(({ job_key }) => job_key === name)?.metadata
    assert.deepEqual(metadata('unknown'), {
      submitted_at: '2026-01-05T05:59:50.500000Z',
      reason: 'the outcome is not known (unknown)',
    })
    assert.deepEqual(metadata('odd'), { reason: 'power' })
    assert.deepEqual(metadata('worded'), { exit_code: '1:0', message: 'no space left' })
    assert.deepEqual(job('x'.repeat(255)), ['succeeded', null])
    assert.deepEqual(job(`${'x'.repeat(254)}😀`), ['succeeded', null])
  })

  test('ends a job that failed and succeeded in the same moment as the file does', async (t) => {
    const { url } = await freshDatabase(t)
    const localApi = await startRole(t, 'local-api', { DATABASE_URL: url })
    const at = 1_767_592_800_000
    const lines = Array.from({ length: 40 }, (_, i) => {
      const record = { trace: 't', app: 'a', start_ts: at, end_ts: at, job_id: `${i}` }
      const ends = ['failed', 'completed', 'canceled']
      // By chance, which the keys are, both orders would not come out right in all of them.
      const inOrder = i % 2 === 0 ? ends : ends.toReversed()
      return inOrder.map((status) => JSON.stringify({ ...record, name: inOrder.join(), status }))
    })
    const file = join(freshFolder(), 'moment.ndjson')
    // The last line of each is there twice: a repeat is the same event.
    writeFileSync(file, lines.flatMap((three) => [...three, three[2]]).join('\n'))
    await replay(t, file, localApi.url)
    const answer = await fetch(`${localApi.url}/v1/jobs?from=2026-01-01T00:00:00Z`)
    const { items } = (await answer.json()) as { items: Stored[] }
    assert.equal(items.length, 40)
    for (const { job_key: order, status, event_count, ended_at } of items) {
      assert.equal(status, order.endsWith('failed') ? 'failed' : 'canceled', order)
      assert.equal(event_count, 4, 'one start and three ends')
      assert.equal(ended_at, fromMs(at))
    }
  })

  test('names a line that is not a record, and takes the others', async (t) => {
    const sidecar = await startRole(t, 'sidecar', {
      SPOOL_DIR: freshFolder(),
      LOCAL_API_BASE: 'http://127.0.0.1:9',
    })
    const good = JSON.stringify({
      trace: 't',
      job_id: '1',
      name: 'L1',
      app: 'a',
      start_ts: 1,
      end_ts: 2,
      status: 'completed',
    })
    const file = join(freshFolder(), 'bad.ndjson')
    const endless = JSON.stringify({
      ...JSON.parse(good),
      job_id: '2',
      end_ts: null,
      status: 'unknown',
    })
    writeFileSync(file, `${good}\n{"trace": 5}\nnot json\n${endless}\n`)
    const run = launch(['replay', file, '--url', sidecar.url], {})
    assert.equal((await run.ended).code, 1)
    assert.match(run.logs(), /bad\.ndjson:2: trace/)
    assert.match(run.logs(), /bad\.ndjson:3: is not JSON/)
    assert.match(run.logs(), /bad\.ndjson:4: end_ts: is missing, although the status is "unknown"/)
    assert.match(run.logs(), /accepted +2/)
  })

  test('says why it waits for a sidecar, and continues when it is there', async (t) => {
    const sidecar = await fakeSidecar(t)
    await sidecar.stop()
    const run = launch(['replay', manyRecords(3), '--url', sidecar.url], {})
    t.after(() => run.kill9())
    await until('a word about it', () => /cannot be reached \(ECONNREFUSED\)/.test(run.err()))
    await sidecar.start()
    assert.equal((await run.ended).code, 0, run.logs())
    assert.equal(sidecar.events.length, 6)
  })

  test('does not wait where that would not help, and says what would', async (t) => {
    const file = manyRecords(1)
    const tokens = join(freshFolder(), 'tokens')
    const token = makeToken(tokens, ['ingest'])
    const env = {
      SPOOL_DIR: freshFolder(),
      LOCAL_API_BASE: 'http://127.0.0.1:9',
      TOKENS_FILE: tokens,
    }
    const { url } = await startRole(t, 'sidecar', env)
    const without = await wafermon(['replay', file, '--url', url])
    assert.equal(without.code, 1)
    assert.match(without.err, /a token with scope ingest is required: .*SIDECAR_TOKEN/)
    const SIDECAR_TOKEN = token
    assert.equal((await wafermon(['replay', file, '--url', url], { SIDECAR_TOKEN })).code, 0)
    const elsewhere = await wafermon(['replay', file, '--url', `${url}/x`], { SIDECAR_TOKEN })
    assert.equal(elsewhere.code, 1)
    assert.match(elsewhere.err, /answers \(HTTP 404\), but is not a sidecar/)
    for (const wrong of ['/nowhere/x', '/tmp']) {
      const { code, err } = await wafermon(['replay', wrong, '--url', url])
      assert.equal(code, 2)
      assert.match(err, /^cannot read \S+ \((ENOENT|EISDIR)\); give a file of records\n$/)
    }
  })

  test('makes batches smaller for a sidecar that calls them too large', async (t) => {
    const sidecar = await fakeSidecar(t)
    sidecar.trouble = () => (sidecar.batches.at(-1)!.length > 7 ? { status: 413 } : undefined)
    const { code, out } = await wafermon([
      'replay',
      manyRecords(50),
      '--url',
      sidecar.url,
      '--json',
    ])
    assert.equal(code, 0)
    assert.equal(JSON.parse(out).accepted, 100)
    assert.equal(sidecar.events.length, 100)
  })

  test('sends again what a proxy answers, and loses no event to its limit', async (t) => {
    const sidecar = await fakeSidecar(t)
    const whole = { total: 2, success: 2, failed: 0, duplicates: 0, rejected: [] }
    const answers = [
      { total: 2 },
      { ...whole, success: 1 },
      { ...whole, success: 1, failed: 1, rejected: [{ index: 7, retryable: true }] },
    ].map((body) => ({ body: JSON.stringify(body) }))
    // Then a limit below one event, which is raised.
    const limits = [{ status: 413 }, { status: 413 }]
    sidecar.trouble = (batch) => [...answers, ...limits][batch - 1]
    const run = await wafermon(['replay', manyRecords(1), '--url', sidecar.url, '--json'])
    assert.equal(run.code, 0, run.err)
    const { accepted, rejected } = JSON.parse(run.out)
    assert.deepEqual([accepted, rejected, sidecar.events.length], [2, {}, 2])
  })

  test('continues where it was killed, and starts from the beginning for anything else', async (t) => {
    const sidecar = await fakeSidecar(t)
    const args = (file: string) => [
      'replay',
      file,
      '--url',
      sidecar.url,
      '--state',
      state,
      '--json',
    ]
    const state = join(freshFolder(), 'state')
    const file = manyRecords(1000)
    sidecar.trouble = (batch) => (batch > 2 ? 'silence' : undefined)
    const killed = launch(args(file), {})
    await until('the third batch', () => sidecar.batches.length === 3)
    await killed.kill9()
    sidecar.trouble = () => undefined
    const rest = await wafermon(args(file))
    assert.match(rest.err, /^continues after 1,000 events\n/)
    assert.equal(JSON.parse(rest.out).sent, 1000)
    assert.equal(sidecar.events.length, 2000)

    const again = await wafermon(args(file))
    assert.equal(JSON.parse(again.out).sent, 2000)
    const [note] = readdirSync(state)
    writeFileSync(join(state, note!), '{"print": "of another file", "sent": 1000}')
    assert.equal(JSON.parse((await wafermon(args(file))).out).sent, 2000)
    writeFileSync(join(state, note!), 'not JSON')
    assert.equal(JSON.parse((await wafermon(args(file))).out).sent, 2000)
  })

  test('that is stopped on its way does not succeed', async (t) => {
    const sidecar = await fakeSidecar(t)
    sidecar.trouble = () => 'silence'
    const run = launch(['replay', manyRecords(3), '--url', sidecar.url], {})
    await until('a batch', () => sidecar.batches.length > 0)
    assert.equal((await run.stop()).code, 1)
    assert.match(run.err(), /stopped; only with --state can it continue later\n$/)
  })
})

/** A file of jobs that began and ended. */
function manyRecords(n: number): string {
  const file = join(freshFolder(), 'many.ndjson')
  const record = { trace: 't', name: 'L1', app: 'a', status: 'completed' }
  const lines = Array.from({ length: n }, (_, i) =>
    JSON.stringify({ ...record, job_id: `${i}`, start_ts: i, end_ts: i + 1 }),
  )
  writeFileSync(file, lines.join('\n'))
  return file
}

describe('the progress bar', () => {
  const line = (sent: number, ms: number, columns = 80, from = 0) =>
    progressLine({ sent, total: 479_117, from, ms }, { columns, write: () => {} })

  test('shows the share, the rate and the time left', () => {
    assert.match(
      line(120_000, 10_000, 120),
      /^\[#{8}\.{22}\] {2}25\.0 % {2}120,000 of 479,117 events {2}12,000\/s {2}29 s left$/,
    )
    assert.match(line(479_117, 60_000, 120), /\[#{30}\] {2}100\.0 %.* 0 s left$/)
    assert.match(line(0, 0), /\/s$/)
  })

  test('counts the rate from where it continued', () => {
    assert.match(line(120_000, 10_000, 120, 100_000), / 2,000\/s {2}2 min left$/)
  })

  test('never wraps', () => {
    for (const columns of [20, 60, 65, 70, 80, 200]) {
      assert.ok(line(120_000, 3_000_000, columns).length < columns, `${columns}`)
    }
  })
})
