import assert from 'node:assert/strict'
import { mkdirSync, renameSync } from 'node:fs'
import { createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import { describe, type TestContext, test } from 'node:test'
import { CreateBucketCommand } from '@aws-sdk/client-s3'
import { FolderPlace } from '../../src/archive/places/folder.ts'
import { openPlace } from '../../src/archive/places/index.ts'
import type { Event } from '../../src/core/event.ts'
import { connect } from '../../src/store/connect.ts'
import { underContract } from '../api/contract.ts'
import { archivedAll, eventAt, run, takeIn } from '../archive/support.ts'
import { freshDatabase } from '../support/database.ts'
import { freshFolder, startRole, until } from '../support/processes.ts'
import { centralRoutes, localApiRoutes } from '../support/routes.ts'
import { clientOf, credentials, needsS3, startS3 } from '../support/s3.ts'

/* The hot store and the archive as one, over HTTP: real processes, a thread that reads, a store that never answers. */

const limits = { defaultLimit: 1000, maxLimit: 10_000 }
const idOf = (n: number) => `b0000000-0000-4000-9000-${String(n).padStart(12, '0')}`

/** Job `n` begins on a day of March and ends a minute later, with a subjob. */
function lifeOf(n: number, day: number): Event[] {
  const key = `LOT-${n}`
  const job = { type: 'job' as const, id: idOf(n), business_key: key }
  const step = { type: 'subjob' as const, id: idOf(100 + n), parent_id: idOf(n) }
  const at = (
    second: number,
    kind: 'started' | 'progress' | 'finished',
    entity: Event['entity'],
  ) => ({
    ...eventAt(second, { kind }, day),
    entity,
  })
  return [
    ...[at(0, 'started', job), at(10, 'started', step), at(20, 'progress', job)],
    ...[at(30, 'finished', step), at(60, 'finished', job)],
  ]
}

const days = [9, 10, 11, 12, 13]

/** A database whose first days are in the archive alone. */
async function archivedSite(t: TestContext) {
  const { url } = await freshDatabase(t, { edition: 'plain' })
  const store = connect(url, { role: 'test', max: 2 })
  t.after(() => store.close())
  await takeIn(
    store,
    days.flatMap((day) => lifeOf(day, day)),
  )
  const dir = join(freshFolder(), 'archive')

  mkdirSync(dir)
  await archivedAll(store, dir)
  const until = '2026-03-12T00:00Z'
  for (const table of ['job', 'subjob']) {
    await run(store, `delete from ${table} where last_event_at < '${until}'`)
    await run(
      store,
      `update archived_job a set deleted = true where kind = '${table}'
      and not exists (select from ${table} t where t.${table}_id = a.id)`,
    )
  }
  await run(store, `delete from event where at < '${until}'`)
  await run(store, `update horizon set dropped_before = '${until}', jobs_from = '${until}'`)
  return { url, dir }
}

type Completeness = {
  archive: string
  archive_searched_from: string | null
  archive_missing: { from: string; to: string; why: string }[]
}
type Answer = {
  items: { job_id: string; event: { kind: string } }[]
  subjobs: { total: number; succeeded: number }
  completeness: Completeness
  next_cursor: string | null
  detail: string
}

async function localApi(t: TestContext, url: string, more: Record<string, string>) {
  const role = await startRole(t, 'local-api', { DATABASE_URL: url, LOG_LEVEL: 'info', ...more })
  const ask = underContract(localApiRoutes(limits), (path, init) => fetch(role.url + path, init))
  return { ...role, json: async (path: string) => (await (await ask(path)).json()) as Answer, ask }
}

const idsIn = ({ items }: Answer) => items.map(({ job_id }) => job_id)
const sinceMarch = 'from=2026-03-01T00:00:00Z&to=2026-03-20T00:00:00Z'

describe('the hot store and the archive, over HTTP', () => {
  test('a site, central and pages answer from both, and say what was not looked at', async (t) => {
    const { url, dir } = await archivedSite(t)
    const site = await localApi(t, url, { ARCHIVE_DIR: dir })
    const newestFirst = days.toReversed().map(idOf)
    const all = await site.json(`/v1/jobs?${sinceMarch}`)
    assert.deepEqual([idsIn(all), all.completeness.archive], [newestFirst, 'used'])
    const hot = await site.json(`/v1/jobs?${sinceMarch}&archive=false`)
    assert.deepEqual([idsIn(hot), hot.completeness.archive], [newestFirst.slice(0, 2), 'available'])

    const job = await site.json(`/v1/jobs/${idOf(9)}`)
    assert.deepEqual([job.subjobs.total, job.subjobs.succeeded], [1, 1])
    const events = await site.json(`/v1/jobs/${idOf(9)}/events`)
    assert.deepEqual(
      events.items.map(({ event }) => event.kind),
      ['finished', 'progress', 'started'],
    )
    assert.equal((await site.json(`/v1/jobs/${idOf(9)}/subjobs`)).items.length, 1)
    const csv = await (await site.ask(`/v1/jobs?${sinceMarch}&format=csv`)).text()
    assert.equal(csv.trim().split('\n').length, 1 + days.length)
    const refused = await site.ask('/v1/jobs?flag=lost&archive=true')
    assert.equal(refused.status, 422)
    assert.match(((await refused.json()) as Answer).detail, /^archive: flag lists .* omit one/)

    const central = await startRole(t, 'central', { SITES: `fab1=${site.url}` })
    const overAll = underContract(centralRoutes(limits), (path, init) =>
      fetch(central.url + path, init),
    )
    const seen: string[] = []
    for (let cursor = ''; ; ) {
      const path = `/v1/jobs?${sinceMarch}&archive=true&limit=2${cursor}`
      const page = (await (await overAll(path)).json()) as Answer
      assert.equal(page.completeness.archive, 'used')
      seen.push(...idsIn(page))
      if (page.next_cursor === null) break
      cursor = `&cursor=${page.next_cursor}`
    }
    assert.deepEqual(seen, newestFirst)
    const below = (await (await overAll(`/v1/jobs/${idOf(9)}/events?limit=2`)).json()) as Answer
    assert.deepEqual([below.items.length, below.completeness.archive], [2, 'used'])

    const web = await startRole(t, 'web', { LOCAL_API: site.url })
    const page = async (path: string) => (await fetch(web.url + path)).text()
    const list = await page('/jobs?w=all')
    assert.match(list, /Older days are in the archive/)
    assert.doesNotMatch(list, new RegExp(idOf(9)))
    const [, href = ''] = /href="([^"]*archive=true[^"]*)"/.exec(list) ?? []
    assert.match(await page(href.replaceAll('&amp;', '&')), new RegExp(idOf(9)))
    const old = await page(`/jobs/${idOf(9)}`)
    assert.match(old, /LOT-9/)
    assert.match(old, /3 of 3/)

    renameSync(dir, `${dir}-away`)
    const away = await site.json(`/v1/jobs?${sinceMarch}&archive=true`)
    assert.deepEqual(
      [idsIn(away), away.completeness.archive],
      [newestFirst.slice(0, 2), 'unreachable'],
    )
    assert.match(away.completeness.archive_missing[0]?.why ?? '', /ARCHIVE_DIR: there is no folder/)
    assert.match(await page(`/jobs?w=all&archive=true&q=LOT`), /Not looked at/)
    const gone = await site.ask(`/v1/jobs/${idOf(9)}`)
    assert.equal(gone.status, 503)
  })

  test('an S3 that never answers costs one question its time, and the next none', async (t) => {
    const { url } = await archivedSite(t)
    const mute = await silentServer(t)
    const site = await localApi(t, url, {
      ...{ S3_BUCKET: 'archive', S3_ENDPOINT: mute },
      ...{ AWS_ACCESS_KEY_ID: 'a', AWS_SECRET_ACCESS_KEY: 'b' },
    })
    const timed = async (path: string) => {
      const startedAt = performance.now()
      const answer = await site.json(path)
      return { answer, ms: performance.now() - startedAt }
    }
    const path = `/v1/jobs?${sinceMarch}&archive=true`
    const [first, beside] = await Promise.all([
      timed(path),
      timed(`/v1/jobs?${sinceMarch}&archive=false`),
    ])
    const again = await timed(path)
    for (const { answer } of [first, again]) {
      assert.deepEqual(idsIn(answer), [idOf(13), idOf(12)])
      assert.equal(answer.completeness.archive, 'unreachable')
      assert.match(answer.completeness.archive_missing[0]?.why ?? '', /did not answer in time/)
    }
    assert.equal(beside.answer.completeness.archive, 'available')
    assert.ok(again.ms < first.ms / 2, `${first.ms} ms, and then ${again.ms} ms`)
    assert.ok(beside.ms < first.ms / 2, `${first.ms} ms, and beside it ${beside.ms} ms`)
    assert.match(site.logs(), /the archive cannot be read; asking again in half a minute/)
    assert.deepEqual(await site.stop(), { code: 0, signal: null })
  })

  test('a bucket is read as a folder is', needsS3, async (t) => {
    const { url, dir } = await archivedSite(t)
    const server = await startS3()
    t.after(() => server.stop())
    await clientOf(server.endpoint).send(new CreateBucketCommand({ Bucket: 'archive' }))
    const own = { S3_BUCKET: 'archive', S3_PREFIX: 'fab1', S3_ENDPOINT: server.endpoint }
    await copyTo(dir, { ...own, ...credentials })
    const site = await localApi(t, url, { ...own, ...credentials })
    // On a machine that is busy with other things it may come too late, and is then left alone for a while.
    const all = await until(
      'the bucket',
      async () => {
        const answer = await site.json(`/v1/jobs?${sinceMarch}`)
        return answer.completeness.archive === 'used' && answer
      },
      120_000,
    )
    assert.deepEqual(
      [idsIn(all), all.completeness.archive, all.completeness.archive_missing],
      [days.toReversed().map(idOf), 'used', []],
    )
    const events = await site.json(`/v1/jobs/${idOf(9)}/events`)
    assert.equal(events.items.length, 3)
  })

  test('contradicting settings of the archive are told at the start', async (t) => {
    const { url } = await freshDatabase(t, { edition: 'plain' })
    await assert.rejects(
      localApi(t, url, { ARCHIVE_DIR: '/tmp/a', S3_BUCKET: 'archive' }),
      /ARCHIVE_DIR.*S3_BUCKET|S3_BUCKET.*ARCHIVE_DIR/s,
    )
  })
})

/** The same archive in a bucket. */
async function copyTo(dir: string, settings: Record<string, string>): Promise<void> {
  Object.assign(process.env, credentials)
  const [from, to] = [new FolderPlace(dir), openPlace(settings)]
  await to.check('write')
  for await (const name of from.list('')) {
    const content = await from.read(name)
    if (content) await to.putOnce(name, await to.stage(name, content.chunks()))
  }
}

/** Takes connections, and never says a word. */
async function silentServer(t: TestContext): Promise<string> {
  const open = new Set<Socket>()
  const server = createServer((socket) => {
    open.add(socket)
    socket.on('error', () => {})
  }).listen(0, '127.0.0.1')
  await new Promise((done) => server.once('listening', done))
  t.after(() => {
    for (const socket of open) socket.destroy()
    server.close()
  })
  return `http://127.0.0.1:${(server.address() as { port: number }).port}`
}
