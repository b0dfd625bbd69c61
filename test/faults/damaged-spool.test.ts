import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import type { Carrying, Damage } from '../../src/spool/carry-over.ts'
import { freshDatabase } from '../support/database.ts'
import { freshFolder, startRole, until } from '../support/processes.ts'
import { assertAllTaken } from '../support/site.ts'
import { openOn } from '../support/store.ts'
import { postEvents, startOfJob } from '../support/wire-events.ts'

/*
 * A backlog of which a part cannot be read any more, between real processes: the sidecar takes events at
 * once, is killed while it carries the others over, and each arrives and counts once.
 */

type Health = { carrying_over?: Carrying; damaged?: Damage; spool_count: number }
const healthOf = async (url: string) => {
  const answer = await fetch(`${url}/v1/healthz`)
  assert.equal(answer.status, 200, await answer.clone().text())
  return (await answer.json()) as Health
}

const large = () => {
  const event = startOfJob()
  const metadata = { text: 'x'.repeat(4000) }
  return { ...event, event: { ...event.event, metadata } }
}

const away = { LOCAL_API_BASE: 'http://127.0.0.1:9' }

describe('a damaged spool of 40 MiB', () => {
  test('takes events at once, and loses and doubles nothing that can be read, however often it is killed', async (t) => {
    const dir = freshFolder()
    const first = await startRole(t, 'sidecar', { SPOOL_DIR: dir, ...away })
    for (let i = 0; i < 20; i++) {
      const answer = await postEvents(first.url, Array.from({ length: 450 }, large), ':batch')
      assert.equal(answer.status, 200)
    }
    await first.stop()
    const [path, pageBytes] = [join(dir, 'spool.db'), 8192]
    const content = readFileSync(path)
    const middle = Math.floor(content.length / 2 / pageBytes) * pageBytes
    writeFileSync(path, content.fill(0xa5, middle, middle + 3 * pageBytes))
    writeFileSync(`${path}.unsound`, 'found while in use\n')

    const news: ReturnType<typeof startOfJob>[] = []
    const { url: database } = await freshDatabase(t)
    const api = await startRole(t, 'local-api', { DATABASE_URL: database })
    const env = { SPOOL_DIR: dir, LOCAL_API_BASE: api.url }
    let before = -1
    for (let kills = 0; kills < 4; kills++) {
      const sidecar = await startRole(t, 'sidecar', env)
      const event = startOfJob()
      assert.equal((await postEvents(sidecar.url, event)).status, 200)
      news.push(event)
      before = await until('some progress', async () => {
        const { carrying_over, damaged } = await healthOf(sidecar.url)
        const { events = damaged?.salvaged ?? 0 } = carrying_over ?? {}
        return (damaged !== undefined || events > before + 500) && events
      })
      await sidecar.kill9()
    }
    const last = await startRole(t, 'sidecar', env)
    const damaged = await until('the end', async () => (await healthOf(last.url)).damaged, 60_000)
    assert.equal(damaged.salvaged + damaged.unreadable, 9000)
    assert.ok(damaged.unreadable > 0 && damaged.unreadable < 10, `${damaged.unreadable}`)
    await assertAllTaken({ sidecar: last })
    const { sql } = openOn(t, database)
    const [row] = await sql<{ jobs: number; events: number }[]>`
      select count(*)::int as jobs, sum(event_count)::int as events from job`
    const expected = damaged.salvaged + news.length
    assert.deepEqual({ ...row }, { jobs: expected, events: expected })
    const again = await postEvents(last.url, news, ':batch')
    assert.equal(((await again.json()) as { duplicates: number }).duplicates, news.length)
  })
})
