import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import { buildOf } from '../../bench/frame/other-build.ts'
import { emptyDatabase, freshDatabase } from '../support/database.ts'
import { freshFolder, launch, startRole, until } from '../support/processes.ts'
import { postEvents, startOfJob } from '../support/wire-events.ts'

/*
 * The version before attempts, waiting and unknown ends came, beside this one: it is built from git, so this needs
 * a clone with its history.
 */
const before = '562dd23'

type Answer = { field?: string; rejected?: { index: number; field: string }[] }
type Job = { status: string; attempt?: number; event_count: number; ended_at: string | null }

/** Events of one job, each so many seconds after its first. */
function aJob() {
  const id = crypto.randomUUID()
  const firstMs = Date.now() - 60_000
  const say = (s: number, kind: string, more: { attempt?: number; status?: string } = {}) => {
    const { attempt, status } = more
    return startOfJob({
      entity: { type: 'job', id, ...(attempt ? { attempt } : {}) },
      event: {
        ...{ kind, at: new Date(firstMs + s * 1000).toISOString() },
        ...(status ? { status } : {}),
      },
    })
  }
  return { id, say }
}

const post = async (url: string, body: object, path: '' | ':batch' = '') => {
  const answer = await postEvents(url, body, path)
  return [answer.status, (await answer.json()) as Answer] as const
}

const readJob = async (url: string, id: string) =>
  (await (await fetch(`${url}/v1/jobs/${id}`)).json()) as Job

const refusesNewWords = async (url: string, { say }: ReturnType<typeof aJob>) => {
  for (const [event, field] of [
    [say(1, 'queued'), 'event.kind'],
    [say(2, 'finished', { status: 'unknown' }), 'event.status'],
  ] as const) {
    const [status, answer] = await post(url, event)
    assert.deepEqual([status, answer.field], [422, field])
  }
}

async function startOldApi(t: TestContext, url: string, main: string) {
  const { code } = await launch(['migrate'], { DATABASE_URL: url }, [], main).ended
  assert.equal(code, 0)
  return startRole(t, 'local-api', { DATABASE_URL: url }, main)
}

describe('the version before attempts', () => {
  test('as a sidecar forwards attempts as they are, and refuses by name what it does not know', async (t) => {
    const { url } = await freshDatabase(t)
    const api = await startRole(t, 'local-api', { DATABASE_URL: url })
    const env = { SPOOL_DIR: freshFolder(), LOCAL_API_BASE: api.url }
    const sidecar = await startRole(t, 'sidecar', env, buildOf(before))
    const job = aJob()
    await refusesNewWords(sidecar.url, job)
    const { id, say } = job
    const first = [say(0, 'started'), say(3, 'finished', { status: 'failed' })]
    const second = [say(5, 'started', { attempt: 2 }), say(6, 'queued', { attempt: 2 })]
    const [status, { rejected }] = await post(sidecar.url, [...first, ...second], ':batch')
    assert.deepEqual(
      [status, rejected?.map(({ index, field }) => [index, field])],
      [200, [[3, 'event.kind']]],
    )
    const found = await until('the job', async () => {
      const one = await readJob(api.url, id)
      return one.event_count === 3 && one
    })
    assert.deepEqual([found.attempt, found.status, found.ended_at], [2, 'running', null])
  })

  test('as a local API takes all attempts for one try, and a sidecar sets aside what it refuses', async (t) => {
    const { url } = await emptyDatabase(t)
    const api = await startOldApi(t, url, buildOf(before))
    const sidecar = await startRole(t, 'sidecar', {
      ...{ SPOOL_DIR: freshFolder(), LOCAL_API_BASE: api.url },
    })
    const job = aJob()
    await refusesNewWords(api.url, job)
    const { id, say } = job
    const events = [
      say(0, 'queued'),
      say(1, 'started'),
      say(2, 'finished', { status: 'failed' }),
      say(3, 'started', { attempt: 2 }),
      say(4, 'finished', { attempt: 2, status: 'unknown' }),
    ]
    assert.equal((await post(sidecar.url, events, ':batch'))[0], 200)
    const found = await until('the job', async () => {
      const one = await readJob(api.url, id)
      return one.event_count === 3 && one
    })
    assert.deepEqual(
      [found.status, found.attempt],
      ['failed', undefined],
      'the start reopens nothing',
    )
    const rejects = await until('the rejects', async () => {
      const answer = await (await fetch(`${sidecar.url}/v1/rejects`)).json()
      const { items } = answer as { items: { field: string }[] }
      return items.length === 2 && items
    })
    assert.deepEqual(rejects.map(({ field }) => field).sort(), ['event.kind', 'event.status'])
  })

  test('does not work on a database that this version has migrated, and does not start on one', async (t) => {
    const { url } = await emptyDatabase(t)
    const api = await startOldApi(t, url, buildOf(before))
    assert.equal((await post(api.url, startOfJob()))[0], 200)
    assert.equal((await launch(['migrate'], { DATABASE_URL: url }).ended).code, 0)
    await until('the old one to notice', async () => (await post(api.url, startOfJob()))[0] === 503)
    const old = launch(['local-api'], { DATABASE_URL: url, PORT: '0' }, [], buildOf(before))
    assert.equal((await old.ended).code, 2)
    assert.match(old.logs(), /the database is newer than this program/)
  })
})
