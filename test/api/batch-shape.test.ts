import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, describe, test } from 'node:test'
import { freshFolder, type Running, startRole } from '../support/processes.ts'

const event = (more: object = {}) => ({
  idempotency_key: randomUUID(),
  site_id: 'fab1',
  app: { app_id: randomUUID(), name: 'litho-apc', version: '1' },
  entity: { type: 'job', id: randomUUID() },
  event: { kind: 'started', at: new Date().toISOString() },
  ...more,
})

const wrong = () => event({ site_id: 'no site' })
const json = (value: unknown) => JSON.stringify(value)
const pretty = (value: unknown) => JSON.stringify(value, null, 2)

describe('a batch', () => {
  let sidecar: Running
  const stop: (() => unknown)[] = []
  before(async () => {
    const env = { SPOOL_DIR: freshFolder(), LOCAL_API_BASE: 'http://127.0.0.1:1' }
    sidecar = await startRole(
      { after: (end) => void stop.push(end as () => unknown) },
      'sidecar',
      env,
    )
  })
  after(async () => {
    for (const end of stop) await end()
  })

  async function post(body: string, type = 'application/json') {
    const answer = await fetch(`${sidecar.url}/v1/ingest/events:batch`, {
      ...{ method: 'POST', headers: { 'content-type': type }, body },
    })
    const said = (await answer.json()) as Record<string, unknown>
    return { status: answer.status, said }
  }

  const lines = 'application/x-ndjson'
  const list = /send the list in "events" by itself/
  const shapeless: [string, string, RegExp, string?][] = [
    ['an object with the list of events', json({ events: [event()] }), list],
    ['the same over many lines', pretty({ events: [event(), event()] }), list],
    ['the same with an empty list', json({ events: [] }), list],
    ['the same beside other fields', json({ count: 1, events: [event()] }), list],
    [
      'the same, larger than an event may be',
      json({ events: Array.from({ length: 2000 }, () => event()) }),
      list,
    ],
    [
      'the same as lines',
      `${json({ events: [event()] })}\n${json({ events: [event()] })}`,
      list,
      lines,
    ],
    [
      'a list of lists',
      json([[event()], [event()]]),
      /send the events of an inner list by themselves/,
    ],
    ['lines that are lists', `${json([event()])}\n${json([event()])}`, /inner list/, lines],
    [
      'objects over several lines each',
      `${pretty(event())}\n${pretty(event())}`,
      /the line is not JSON/,
    ],
    ['lines of text', 'started\nended', /the line is not JSON/, lines],
    [
      'an object without a field of an event',
      json({ hello: 1 }),
      /an event has idempotency_key, site_id/,
    ],
    ['a list of texts', json(['a', 'b']), /"a" is not an event/],
    ['a list of null', json([null]), /null is not an event/],
    ['a list with a number that no double holds', '[1e-400]', /a number is not an event/],
    ['a text', json('a'), /must be a JSON array of events, or NDJSON/],
    ['a number', '1', /must be a JSON array of events, or NDJSON/],
  ]
  for (const [what, body, remedy, type] of shapeless) {
    test(`that is ${what} is refused with the remedy`, async () => {
      const { status, said } = await post(body, type)
      assert.equal(status, 422, json(said))
      assert.match(
        String(said.detail),
        /must be a JSON array of events, or NDJSON with one event per line/,
      )
      assert.match(String(said.detail), remedy)
    })
  }

  test('of which nothing was taken is not ok', async () => {
    for (const body of [
      json([wrong()]),
      json([wrong(), wrong()]),
      json(wrong()),
      json([wrong(), 5]),
    ]) {
      const { status, said } = await post(body)
      assert.equal(status, 200)
      assert.deepEqual([said.ok, said.success], [false, 0], json(said))
    }
  })

  test('of which something was taken is ok, repeats too, and an empty one', async () => {
    const once = json([event()])
    for (const body of [json([event(), wrong()]), json([event(), 5]), once, once, '[]']) {
      const { status, said } = await post(body)
      assert.deepEqual([status, said.ok], [200, true], json(said))
    }
  })

  test('that is one event is taken, over however many lines', async () => {
    for (const body of [json(event()), pretty(event()), `\n${pretty(event())}\n`]) {
      const { status, said } = await post(body)
      assert.deepEqual([status, said.ok, said.success], [200, true, 1], json(said))
    }
  })

  const torn: [string, string, string][] = [
    ['cut off', '{"a":', '{}'],
    ['cut off, and a later one that closes it', '{"a":1,', '}'],
    ['cut off in a text', '{"a":"b', '"}'],
    ['cut off deep within, and larger than an event', `{"a":"${'x'.repeat(300_000)}","b":{`, '}}'],
  ]
  for (const [what, first, last] of torn) {
    test(`with a line that is ${what} keeps the good lines beside it`, async () => {
      const { status, said } = await post(
        [first, json(event()), json(event()), last].join('\n'),
        lines,
      )
      assert.deepEqual([status, said.ok, said.success, said.failed], [200, true, 2, 2], json(said))
      assert.deepEqual(
        (said.rejected as { index: number }[]).map(({ index }) => index),
        [0, 3],
      )
    })
  }
})
