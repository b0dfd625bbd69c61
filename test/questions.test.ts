import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { JobReader } from '../src/core/job.ts'
import { comparePlaces, type Place, placeOf, placeToWire } from '../src/core/list-order.ts'
import { must } from '../src/core/must.ts'
import { questions } from '../src/core/questions/index.ts'
import type { Question } from '../src/core/questions/question.ts'
import { mergedReader } from '../src/sites/merged-reader.ts'
import { remoteReader } from '../src/sites/remote-reader.ts'
import { noon, readApp } from './api/read-app.ts'
import { arrayReader, emptyWorld, type World } from './support/array-reader.ts'
import { startFakeApi } from './support/fake-api.ts'
import { fillShift, someSources } from './support/sample-jobs.ts'

/* The contract of `core/questions/question.ts`, over every question of the list. */

const { signal } = new AbortController()

/** What a question is asked with, where it needs parameters. */
const params: Record<string, object> = {
  causes: {
    from: '2026-02-28T00:00:00.000000Z',
    to: noon,
    recentFrom: '2026-03-01T11:45:00.000000Z',
    minFailed: 1,
  },
  stats: { from: '2026-02-28T00:00:00.000000Z', bucket: 'day', groupBy: ['status'] },
}

function aWorld() {
  const world = emptyWorld(() => noon)
  fillShift(world, noon, 50)
  world.sources = someSources(noon)
  for (const { name } of questions) world.answers[name] ??= () => []
  return world
}

const isSet = (_: string, value: unknown) => (value === null ? undefined : value)

describe('the list of questions', () => {
  test('has each name and path once', () => {
    for (const key of ['name', 'path'] as const) {
      assert.equal(new Set(questions.map((one) => one[key])).size, questions.length)
    }
  })

  test('has a file of SQL for each', async () => {
    await import('../src/store/answers.ts')
  })
})

for (const one of questions) {
  const question = one as Question<object, object>
  const given = params[question.name] ?? {}

  describe(`the question about ${question.name}`, () => {
    test('is answered by a site over HTTP as by its reader', async (t) => {
      const world = aWorld()
      const { url } = await startFakeApi(t, world)
      const expected = await arrayReader(world).ask(question, given, signal)
      const found = await remoteReader({ baseUrl: url, timeoutMs: 5000 }).ask(
        question,
        given,
        signal,
      )
      assert.deepEqual(found, expected)
    })

    test('has every field of its table in the answer of its route, in that order', async () => {
      const world = aWorld()
      const { json } = readApp({ world })
      const query = question.toQuery(given)
      const { items, count } = await json(`${question.path}?${query}`)
      const rows = await arrayReader(world).ask(question, given, signal)
      assert.equal(count, rows.length)
      assert.equal(JSON.stringify(items), JSON.stringify(rows.map(question.table.toWire)))
    })

    test('is answered by several sites as by the one that knows something', async () => {
      const world = aWorld()
      const sites = [
        { id: 'fab1', reader: arrayReader(world) },
        { id: 'fab2', reader: arrayReader({ ...emptyWorld(() => noon), answers: world.answers }) },
      ]
      const { reader } = mergedReader({ sites, deadlineMs: 5000 })()
      const merged = await reader.ask(question, given, signal)
      const alone = await arrayReader(world).ask(question, given, signal)
      const texts = (rows: readonly object[]) =>
        rows.map((row) => JSON.stringify({ ...row, site: undefined }, isSet)).sort()
      assert.deepEqual(texts(merged), texts(alone))
    })

    if (question.order === undefined) return

    test('comes in pages that add up to the list, from a site and from several', async (t) => {
      const [one, other] = [aWorld(), aWorld()]
      // What both have, what one has, and a page that ends in the middle of either.
      other.jobs = other.jobs.map((job) => ({ ...job, appName: `${job.appName}\u{1f600}` }))
      other.sources = other.sources.map((source) => ({ ...source, epoch: `${source.epoch}x` }))
      const alone = await arrayReader(one).ask(question, given, signal)
      const beside = await arrayReader(other).ask(question, given, signal)
      assert.ok(alone.length > 2 && beside.length > 2, 'there is something to divide')
      one.listPage = 2
      other.listPage = 3
      const remote = async (world: World) =>
        remoteReader({ baseUrl: (await startFakeApi(t, world)).url, timeoutMs: 5000 })
      const sites = [
        { id: 'fab1', reader: await remote(one) },
        { id: 'fab2', reader: await remote(other) },
        { id: 'fab3', reader: arrayReader(emptyWorld(() => noon)) },
        { id: 'fab4', reader: arrayReader({ ...one, listPage: 1 }) },
      ]
      const { reader: merged } = mergedReader({ sites, deadlineMs: 5000 })()
      for (const [reader, expected] of [
        [sites[0]?.reader, alone],
        [merged, [...alone, ...alone, ...beside]],
      ] as const) {
        const { items, pages } = await allPages(must(reader, 'it is there'), question, given)
        assert.ok(pages > 1, `${pages} pages`)
        const { order = [] } = question
        const places = (rows: readonly object[]) => rows.map((row) => placeOf(order, row))
        const inOrder = places(expected).sort((a, b) => comparePlaces(order, a, b))
        assert.deepEqual(places(items), inOrder)
      }
    })

    test('refuses a cursor that it did not give', async () => {
      const { ask } = readApp({ world: aWorld() })
      const bad = ['x', 'W10', Buffer.from('["a"]').toString('base64url')]
      for (const value of [...bad, placeToWire(['a', '\0']), placeToWire(['a', 'b', 'c'])]) {
        const answer = await ask(`${question.path}?cursor=${value}`)
        assert.equal(answer.status, 422, value)
        assert.equal(((await answer.json()) as { field: string }).field, 'cursor')
      }
    })
  })
}

async function allPages(reader: JobReader, question: Question<object, object>, given: object) {
  const items: object[] = []
  let pages = 0
  for (let after: Place | undefined; ; ) {
    const page = await reader.askPage(question, given, signal, after)
    assert.ok(++pages < 1000, 'the pages end')
    items.push(...page.items)
    if (page.next === null) return { items, pages }
    after = page.next
  }
}
