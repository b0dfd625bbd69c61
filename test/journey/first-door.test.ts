import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { describe, test } from 'node:test'
import { gzipSync } from 'node:zlib'
import fc from 'fast-check'
import type { Problem } from '../../src/platform/problem.ts'
import { freshFolder, startRole } from '../support/processes.ts'
import { assertAllTaken, countStored, type Site, startSite } from '../support/site.ts'
import {
  nearlyValid,
  type Packed,
  pack,
  packing,
  runs,
  spoiled,
  validEvent,
  type WildEvent,
  wildJson,
} from '../support/wild.ts'

/*
 * The first door against everything that can be sent to it. Whatever that is: an answer that a
 * person can act on, no good event lost beside a bad one, and the local API takes what the sidecar
 * acknowledged.
 */

type Rejected = { index: number; idempotency_key: string | null; field: string; detail: string }
type Answer = { total: number; success: number; duplicates: number; rejected: Rejected[] }

const post = (url: string, { body, headers }: Packed, path = ':batch') =>
  fetch(`${url}/v1/ingest/events${path}`, { method: 'POST', body: new Uint8Array(body), headers })

/** Patterns of the words of a library, a stack or a database. */
const dump =
  /\.[cm]?[jt]s:\d+|node:|node_modules|zod|invalid_type|expected .*received|Unexpected|SyntaxError|TypeError|RangeError|sqlite|constraint|\bselect\b|\binsert\b|\[object|\bundefined\b|\bNaN\b/i

function assertHelpful({ field, detail }: { field: string; detail: string }): void {
  assert.equal(typeof field, 'string')
  assert.ok(field.length <= 200, `a field of ${field.length} characters`)
  assert.ok(detail.length > 15 && detail.length < 600, detail)
  // The input may be shown, in quotation marks; the rest is ours.
  assert.doesNotMatch(detail.replaceAll(/"(\\.|[^"\\])*"/g, '""'), dump)
}

async function assertProblem(answer: Response): Promise<void> {
  assert.ok([400, 413, 415, 422].includes(answer.status), `${answer.status}`)
  assert.equal(answer.headers.get('content-type'), 'application/problem+json')
  const { title, status, detail, field = '' } = (await answer.json()) as Problem
  assert.equal(status, answer.status)
  assert.ok(title)
  assertHelpful({ field, detail })
}

function assertAdded({ total, success, duplicates, rejected }: Answer, sent: number): void {
  assert.equal(total, sent)
  assert.equal(success + rejected.length, total)
  assert.ok(duplicates <= success)
  const places = rejected.map(({ index }) => index)
  assert.deepEqual(
    places,
    [...new Set(places)].sort((a, b) => a - b),
  )
  for (const item of rejected) {
    assert.ok(item.index >= 0 && item.index < total)
    assert.ok(item.idempotency_key === null || typeof item.idempotency_key === 'string')
    assertHelpful(item)
  }
}

/** The fields that a caller finds again unchanged: all but those that get a normal form. */
function keptOf(sent: WildEvent) {
  const without = (object: object, known: string[]) =>
    Object.fromEntries(Object.entries(object).filter(([name]) => !known.includes(name)))
  const { app, entity, event } = JSON.parse(JSON.stringify(sent)) as WildEvent
  return {
    app: without(app, ['app_id', 'version']),
    entity: without(entity, ['id', 'parent_id']),
    event: without(event, ['at', 'started_at', 'ended_at', 'status', 'reported_at']),
    metadata: event.metadata ?? null,
    metrics: event.metrics ?? null,
    x: without(sent, ['idempotency_key', 'app', 'entity', 'event', 'historical', 'site_id']),
  }
}

async function storedOf({ api }: Site, id: string) {
  const answer = await fetch(`${api.url}/v1/jobs/${id.toLowerCase()}/events`)
  assert.equal(answer.status, 200)
  return ((await answer.json()) as { items: (WildEvent & { site_id: string })[] }).items
}

const laidDown = ['received_at', 'source', 'traceparent']
const reported = ['reported_at', 'reported_started_at', 'reported_ended_at']

async function assertKept(site: Site, sent: WildEvent): Promise<void> {
  const stored = await storedOf(site, sent.entity.id)
  const wanted = keptOf(sent)
  const found = stored.map((event) => {
    const copy = { ...event } as Record<string, unknown>
    for (const name of laidDown) delete copy[name]
    const kept = keptOf(copy as WildEvent)
    for (const name of reported) delete (kept.event as Record<string, unknown>)[name]
    return kept
  })
  assert.ok(
    found.some((one) => same(one, wanted)),
    `${JSON.stringify(wanted)} is not among ${JSON.stringify(found)}`,
  )
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text)
    return true
  } catch {
    return false
  }
}

const same = (a: unknown, b: unknown) => {
  try {
    assert.deepEqual(a, b)
    return true
  } catch {
    return false
  }
}

const alive = async (...urls: string[]) => {
  for (const url of urls) assert.equal((await fetch(`${url}/v1/healthz`)).status, 200)
}

/** A sidecar whose local API is away. */
const lonely = () => ({ SPOOL_DIR: freshFolder(), LOCAL_API_BASE: 'http://127.0.0.1:9' })

const plain = { encoding: 'identity', lines: false, bom: false } as const

describe('the first door', () => {
  test('keeps every good event whole whatever comes with it, and the local API takes them all', async (t) => {
    const site = await startSite(t)
    const { sidecar, api, store } = site
    let fresh = 0
    const good: WildEvent[] = []
    const item = fc.oneof(
      { weight: 2, arbitrary: validEvent.map((event) => ({ event, text: JSON.stringify(event) })) },
      nearlyValid.map((text) => ({ event: undefined, text })),
      wildJson.map((text) => ({ event: undefined, text: text.replaceAll(/[\r\n]/g, ' ') })),
    )
    await fc.assert(
      fc.asyncProperty(
        fc.array(item, { minLength: 1, maxLength: 12 }),
        packing,
        async (all, how) => {
          // As a JSON array a batch can hold only JSON.
          const items = how.lines === false ? all.filter(({ text }) => isJson(text)) : all
          const lines = items.filter(({ text }) => text.trim() !== '')
          if (lines.length === 0) return
          const packed = pack(
            lines.map(({ text }) => text),
            how,
          )
          const answer = await post(sidecar.url, packed)
          if (answer.status === 422) {
            assert.ok(lines.every(({ event }) => !event))
            return assertProblem(answer)
          }
          assert.equal(answer.status, 200, await answer.clone().text())
          const result = (await answer.json()) as Answer
          assertAdded(result, lines.length)
          const refused = new Map(result.rejected.map((one) => [one.index, one]))
          for (const [index, { event }] of lines.entries()) {
            if (!event) continue
            assert.equal(refused.get(index), undefined, JSON.stringify(event).slice(0, 2000))
            good.push(event)
          }
          fresh += result.success - result.duplicates
        },
      ),
      { numRuns: runs(60) },
    )
    await assertAllTaken(site)
    assert.equal(await countStored(store), fresh)
    for (const event of good.slice(0, 200)) await assertKept(site, event)
    await alive(sidecar.url, api.url)
  })

  test('answers any single body with a verdict or a problem that names the remedy', async (t) => {
    const site = await startSite(t)
    const { sidecar, api } = site
    const body = fc.oneof(
      spoiled,
      fc.tuple(fc.oneof(nearlyValid, wildJson), packing).map(([text, how]) => pack([text], how)),
    )
    const door = fc.record({
      api: fc.boolean(),
      path: fc.constantFrom('', ':batch'),
      body,
    })
    await fc.assert(
      fc.asyncProperty(door, async ({ api: direct, path, body: packed }) => {
        const answer = await post(direct ? api.url : sidecar.url, packed, path)
        if (answer.status !== 200) return assertProblem(answer)
        const said = (await answer.json()) as Answer & { ok: boolean }
        assert.equal(said.ok, path === '' || said.success > 0 || said.total === 0)
        if (path !== '') assertAdded(said, said.total)
      }),
      { numRuns: runs(300) },
    )
    await assertAllTaken(site)
    await alive(sidecar.url, api.url)
  })

  test('takes an event of exactly the largest size, and so does the local API after it', async (t) => {
    const site = await startSite(t)
    const bare = {
      idempotency_key: crypto.randomUUID(),
      site_id: 'fab1',
      app: { app_id: crypto.randomUUID(), name: 'etch', version: '' },
      entity: { type: 'job', id: crypto.randomUUID() },
      event: { kind: 'started', at: '2026-03-01T12:00:00.000000Z' },
    }
    const normal = { ...bare, received_at: '2026-03-01T12:00:00.000000Z', pad: '' }
    const pad = 'é'.repeat(Math.floor((65_536 - Buffer.byteLength(JSON.stringify(normal))) / 2))
    const at = (more: string) => pack([JSON.stringify({ ...bare, pad: pad + more })], plain)
    const over = (await (await post(site.sidecar.url, at('xx'))).json()) as Answer
    assert.match(over.rejected[0]!.detail, /at most 65536 bytes/)
    assert.equal(((await (await post(site.sidecar.url, at(''))).json()) as Answer).success, 1)
    await assertAllTaken(site)
    assert.equal(await countStored(site.store), 1)
  })

  const wrong: [string, string, string][] = [
    ['a text as a metric called __proto__', 'event.metrics.__proto__', '{"__proto__":"text"}'],
    ['an object as a metric called __proto__', 'event.metrics.__proto__', '{"__proto__":{"a":1}}'],
    ['a number that a double cannot tell from 0', 'event.metrics.x', '{"x":1e-400}'],
    ['the same, most of it zeros', 'event.metrics.x', `{"x":0.${'0'.repeat(299)}1e-99}`],
    ['a number beyond the doubles', 'event.metrics.x', '{"x":1e999}'],
    ['a name with half a surrogate pair', 'event.metrics', '{"\\ud83d":"1"}'],
    ['a metric with a name of no length', 'event.metrics.', '{"":"1"}'],
    [
      '65 metrics',
      'event.metrics',
      JSON.stringify(Object.fromEntries([...Array(65).keys()].entries())),
    ],
  ]
  test('names the field of what a schema overlooks', async (t) => {
    const sidecar = await startRole(t, 'sidecar', lonely())
    const event = (
      metrics: string,
    ) => `{"idempotency_key":"${crypto.randomUUID()}","site_id":"fab1",
      "app":{"app_id":"5f0c41c2-7c42-4d10-9a35-0193581eb7e8","name":"etch"},
      "entity":{"type":"job","id":"5f0c41c2-7c42-4d10-9a35-0193581eb7e8"},
      "event":{"kind":"metric","at":"2026-03-01T12:00:00Z","metrics":${metrics}}}`
    const items = wrong.map(([, , metrics]) => event(metrics))
    const answer = await post(sidecar.url, pack(items, plain))
    const { rejected } = (await answer.json()) as Answer
    assert.deepEqual(
      rejected.map(({ index, field }) => [wrong[index]![0], field]),
      wrong.map(([name, field]) => [name, field]),
    )
  })

  const bombs: [string, number, () => string][] = [
    ['millions of lines that are not JSON', 413, () => 'x\n'.repeat(4_000_000)],
    ['millions of open objects, a line each', 413, () => '{\n'.repeat(4_000_000)],
    ['millions of empty lines', 400, () => '\n'.repeat(8_000_000)],
    ['millions of items', 413, () => `[${'0,'.repeat(8_000_000)}0]`],
    ['millions of open brackets', 400, () => '['.repeat(20_000_000)],
    ['millions of brackets that close', 200, () => '['.repeat(8_000_000) + ']'.repeat(8_000_000)],
    ['more than may come out', 413, () => ' '.repeat(40_000_000)],
  ]
  test('refuses what is small on the way and huge inside', { timeout: 120_000 }, async (t) => {
    const sidecar = await startRole(t, 'sidecar', lonely())
    for (const [name, status, text] of bombs) {
      const type = text().startsWith('[') ? 'application/json' : 'application/x-ndjson'
      const headers = { 'content-type': type, 'content-encoding': 'gzip' }
      const answer = await post(sidecar.url, { body: gzipSync(text(), { level: 1 }), headers })
      assert.equal(answer.status, status, name)
      if (status !== 200) await assertProblem(answer)
      else assert.match(await answer.text(), /"failed":1,.*"is nested too deeply/)
    }
    assert.ok(peakMb(sidecar.pid) < 900, `it needed ${peakMb(sidecar.pid)} MB`)
    await alive(sidecar.url)
  })
})

/** Most memory that a process has had, in MB. */
function peakMb(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8')
  return Number(/VmHWM:\s+(\d+) kB/.exec(status)![1]) / 1024
}
