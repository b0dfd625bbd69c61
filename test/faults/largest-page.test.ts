import assert from 'node:assert/strict'
import { test } from 'node:test'
import { maxPageBytes } from '../../src/core/answer-size.ts'
import { connect } from '../../src/store/connect.ts'
import { freshDatabase } from '../support/database.ts'
import { startRole, until } from '../support/processes.ts'
import { ask } from '../support/site.ts'
import { postEvents, startOfJob } from '../support/wire-events.ts'

/** As much metadata as a job can have: 32 KiB each of its start, its progress and its end. */
const heavyJobs = (count: number) => `
  insert into job (job_id, started_event_at, first_event_at, last_event_at, last_event_key, app_id,
    app_name, app_version, site_id, event_count, error_count, start_metadata, progress_metadata,
    end_metadata)
  select gen_random_uuid(), now(), now(), now(), gen_random_uuid(), gen_random_uuid(), 'etch', '',
    'fab1', 1, 0, jsonb_build_object('a', repeat('x', 32000)),
    jsonb_build_object('b', repeat('y', 32000)), jsonb_build_object('c', repeat('z', 32000))
  from generate_series(1, ${count})`

/**
 * Far above what a busy machine takes from a process. Read and written in one piece, as many jobs as were
 * asked for are 580 MB, which no answer can be.
 */
const boundS = 5

test('ingest goes on while the largest pages are read', async (t) => {
  const { url: database } = await freshDatabase(t)
  const store = connect(database, { role: 'test', max: 1 })
  t.after(() => store.close())
  await ask(store, heavyJobs(6000))
  const { url } = await startRole(t, 'local-api', { DATABASE_URL: database })
  await until('it to be ready', async () => (await fetch(`${url}/v1/healthz`)).status === 200)

  let reading = true
  const readers = Promise.all(Array.from({ length: 3 }, () => readPages(url, 2))).finally(() => {
    reading = false
  })
  let answered = 0
  while (reading) {
    assert.equal((await postEvents(url, startOfJob())).status, 200)
    answered++
  }
  for (const sizes of await readers) {
    for (const bytes of sizes) assert.ok(bytes > 15 * 2 ** 20 && bytes < 1.1 * maxPageBytes)
  }
  assert.ok(answered >= 20, `${answered} events were answered meanwhile`)
  const { samples } = await readLag(url)
  const lag = await until('the next sample', async () => {
    const now = await readLag(url)
    return now.samples > samples && now
  })
  assert.equal(lag.within, lag.samples, `the event loop stood still for over ${boundS} s`)
})

/** The sizes of the first pages of all jobs. */
async function readPages(url: string, count: number): Promise<number[]> {
  const sizes: number[] = []
  let link: string | undefined = '/v1/jobs?limit=10000'
  while (link !== undefined && sizes.length < count) {
    const answer = await fetch(url + link)
    assert.equal(answer.status, 200)
    const bytes = await answer.bytes()
    assert.equal(answer.headers.get('content-length'), String(bytes.length))
    const { items, count: counted } = JSON.parse(Buffer.from(bytes).toString()) as Page
    assert.equal(items.length, counted)
    sizes.push(bytes.length)
    link = /^<(.+)>; rel="next"$/.exec(answer.headers.get('link') ?? '')?.[1]
  }
  return sizes
}

type Page = { items: unknown[]; count: number }

/** How late the event loop was: the samples, and those of them that lie within the bound. */
async function readLag(url: string): Promise<{ within: number; samples: number }> {
  const text = await (await fetch(`${url}/metrics`)).text()
  const read = (what: string) => {
    const found = new RegExp(`^wafermon_event_loop_lag_seconds_${what} (\\d+)$`, 'm').exec(text)
    assert.ok(found, `${what} is a metric`)
    return Number(found[1])
  }
  return { within: read(`bucket\\{le="${boundS}"\\}`), samples: read('count') }
}
