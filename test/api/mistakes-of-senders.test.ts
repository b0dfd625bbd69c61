import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { freshFolder, type Running, startRole } from '../support/processes.ts'
import { postEvents, startOfJob } from '../support/wire-events.ts'

type Said = Record<string, unknown> & {
  rejected: { index: number; field: string; detail: string }[]
}

/** The end of a job of its own. */
const anEnd = (event: object = {}) =>
  startOfJob({ event: { kind: 'finished', at: new Date().toISOString(), ...event } })

describe('a mistake of a sender', () => {
  let sidecar: Running
  const stop: (() => unknown)[] = []
  before(async () => {
    const env = { SPOOL_DIR: freshFolder(), LOCAL_API_BASE: 'http://127.0.0.1:1' }
    sidecar = await startRole({ after: (end) => void stop.push(end as () => unknown) }, 'sidecar', {
      ...env,
      SITE_ZONE: 'Europe/Berlin',
    })
  })
  after(async () => {
    for (const end of stop) await end()
  })

  /** A batch as text, since JSON.stringify writes no NaN. */
  async function post(events: readonly object[], change = (text: string) => text, path = ':batch') {
    const body = JSON.stringify(path === '' ? events[0] : events)
    const answer = await fetch(`${sidecar.url}/v1/ingest/events${path}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: change(body),
    })
    return { status: answer.status, said: (await answer.json()) as Said }
  }

  const withNumber = (number: string) => (text: string) => text.replace('"THE NUMBER"', number)

  for (const number of ['NaN', 'Infinity', '-Infinity']) {
    test(`${number} in a JSON batch costs its event, by the name of the field, and no other`, async () => {
      const wrong = anEnd({ metrics: { cd: 'THE NUMBER' } })
      const { status, said } = await post([anEnd(), wrong, anEnd()], withNumber(number))
      assert.equal(status, 200)
      assert.deepEqual([said.success, said.failed], [2, 1])
      assert.deepEqual(
        said.rejected.map(({ index, field }) => [index, field]),
        [[1, 'event.metrics.cd']],
      )
      const one = await post([wrong], withNumber(number), '')
      assert.deepEqual([one.status, one.said.field], [422, 'event.metrics.cd'])
    })
  }

  test('too much metadata costs its largest values, and the answer says so', async () => {
    const large = anEnd({ metadata: { error: 'e'.repeat(100_000) } })
    const { said } = await post([anEnd(), large, anEnd(), large])
    assert.deepEqual([said.success, said.duplicates, said.truncated], [4, 1, [1, 3]])
    const again = (await (await postEvents(sidecar.url, large)).json()) as Said
    assert.deepEqual(again, { ok: true, duplicate: true, truncated: true })
    const small = (await (await postEvents(sidecar.url, anEnd())).json()) as Said
    assert.deepEqual(small, { ok: true, duplicate: false })
  })

  test('a log of a million characters in its metadata costs no job its end', async () => {
    const large = anEnd({ metadata: { log: 'äß\n€'.repeat(250_000), exit_code: 3 } })
    const { said } = await post([anEnd(), large])
    assert.deepEqual([said.success, said.truncated], [2, [1]])
    const many = anEnd({ metadata: { log: Array.from({ length: 9 }, () => 'x'.repeat(32_768)) } })
    assert.match((await post([anEnd(), many])).said.rejected[0]!.detail, /at most 65536 bytes/)
  })

  test('a zero for a time costs nothing, and is counted', async () => {
    const zero = anEnd({ started_at: '0001-01-01T00:00:00Z', ended_at: '' })
    assert.equal((await post([zero, anEnd()])).said.success, 2)
    const metrics = await (await fetch(`${sidecar.url}/metrics`)).text()
    assert.match(metrics, /events_processed_total\{event_type="finished",status="zero_time"\} 1\b/)
    assert.match(metrics, /events_processed_total\{event_type="finished",status="truncated"\} 4\b/)
  })

  test('a time without a zone is read in that of the site, where the sidecar names one', async () => {
    const at = new Date().toISOString().slice(0, 19)
    assert.equal((await post([anEnd({ at })])).said.success, 1)
    const env = { SPOOL_DIR: freshFolder(), LOCAL_API_BASE: 'http://127.0.0.1:1' }
    const other = await startRole(
      { after: (end) => void stop.push(end as () => unknown) },
      'sidecar',
      env,
    )
    const answer = await postEvents(other.url, anEnd({ at }))
    assert.equal(answer.status, 422)
    assert.equal(((await answer.json()) as Said).field, 'event.at')
  })

  test('an attempt that is no number from 1 is named', async () => {
    const { entity, ...rest } = anEnd()
    const { said } = await post(
      [0, 1.5, '2', 2].map((attempt) => ({ ...rest, entity: { ...entity, attempt } })),
    )
    assert.deepEqual(
      said.rejected.map(({ field }) => field),
      ['entity.attempt', 'entity.attempt', 'entity.attempt'],
    )
    assert.match(said.rejected[0]!.detail, /whole number from 1 to 1000000/)
  })
})
