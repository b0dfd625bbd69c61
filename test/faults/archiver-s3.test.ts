import assert from 'node:assert/strict'
import { randomBytes, randomUUID } from 'node:crypto'
import { after, before, describe, type TestContext, test } from 'node:test'
import { CreateBucketCommand, ListMultipartUploadsCommand } from '@aws-sdk/client-s3'
import { columnAt, openFiles, readRows } from '../../src/archive/archive-rows.ts'
import { readManifest, readNewest } from '../../src/archive/manifest.ts'
import { toArchivedFiles } from '../../src/archive/manifest-file.ts'
import { openPlace } from '../../src/archive/places/index.ts'
import type { Place } from '../../src/archive/places/place.ts'
import type { Problem } from '../../src/archive/problem.ts'
import { verifyArchive } from '../../src/archive/verify.ts'
import { ingest } from '../../src/store/ingest.ts'
import { crowd, crowdedDay } from '../archive/crowded-day.ts'
import { archiver, hadRound, rowsNoted, some, verify } from '../archive/role.ts'
import { archived, closedDay, dayAt, eventAt, wait } from '../archive/support.ts'
import { type Running, until } from '../support/processes.ts'
import { clientOf, credentials, needsS3, startS3 } from '../support/s3.ts'
import { type Asked, type S3Proxy, startS3Proxy } from '../support/s3-proxy.ts'
import { fewer, isShort } from '../support/short-form.ts'

/* An archiver that is killed while it writes to a bucket of a real server. */

const bucket = 'archive'
let server: Awaited<ReturnType<typeof startS3>>
let proxy: S3Proxy

/** A write to the bucket, as the proxy sees it. */
const isWrite = ({ method }: Asked) => ['PUT', 'POST', 'DELETE'].includes(method)

const nth = (n: number) => {
  let writes = 0
  return (asked: Asked) => isWrite(asked) && ++writes === n
}

/** Events whose file has more than one part of 8 MiB, for what is random does not get smaller. */
const large = some(60).map((event) => ({
  ...event,
  event: { ...event.event, metadata: { dump: randomBytes(180_000).toString('base64') } },
}))

const isPart = ({ path }: Asked, number: number) => path.includes(`partNumber=${number}&`)
const isEnd = ({ method, path }: Asked) => method === 'POST' && /uploadId=/.test(path)
const inUpload: [string, (asked: Asked) => boolean][] = [
  ['in the second part of a staged file', (asked) => isPart(asked, 2)],
  ['at the end of a staged file', (asked) => isEnd(asked) && /\/_tmp\//.test(asked.path)],
  [
    'while a file gets its name',
    (asked) => asked.method === 'PUT' && 'x-amz-copy-source' in asked.headers,
  ],
  ['before a file has its name', (asked) => isEnd(asked) && !/\/_tmp\//.test(asked.path)],
]

/** The nth deletion of a file that is not staged. */
const deletion = (n: number) => () => {
  let deletions = 0
  return ({ method, path }: Asked) =>
    method === 'DELETE' && /\/(event|job)\/site/.test(path) && ++deletions === n
}
const inCompaction: [string, () => (asked: Asked) => boolean, RegExp][] = [
  [
    'before the manifest',
    () => (asked) => asked.method === 'PUT' && /\/_manifest\//.test(asked.path),
    /is not named by any manifest/,
  ],
  [
    'with the manifest, before it is on record',
    () => (asked) => asked.method === 'DELETE' && /manifest\.json/.test(asked.path),
    /is left over/,
  ],
  ['compacted, old files there', deletion(1), /is left over/],
  ['half deleted', deletion(6), /is left over/],
]

describe('an archiver with a bucket', needsS3, () => {
  before(async () => {
    server = await startS3()
    proxy = await startS3Proxy(server.endpoint)
    await clientOf(server.endpoint).send(new CreateBucketCommand({ Bucket: bucket }))
  })
  after(async () => {
    await proxy?.stop()
    await server?.stop()
  })

  for (const [where, isThere] of fewer(inUpload, 4)) {
    test(`that is killed ${where} leaves no part of it for good`, async (t) => {
      const { store, url } = await closedDay(t, large)
      const S3_PREFIX = randomUUID()
      const own = { S3_BUCKET: bucket, S3_PREFIX, S3_ENDPOINT: proxy.endpoint, ...credentials }
      assert.ok(await archiveUntilKilled(t, { url, own, dies: isThere }), 'it was not reached')
      const uploads = () => unfinished(S3_PREFIX)
      assert.ok((await uploads()) > 0)
      const role = await archiver(t, url, '', own)
      await until('the day', async () => (await rowsNoted(store)) === 2 * large.length, 60_000)
      await role.stop()
      assert.equal(await uploads(), 0)
      const { days, problems } = verify(`s3://${bucket}/${S3_PREFIX}`, {
        ...{ ...own, S3_ENDPOINT: server.endpoint },
      })
      assert.deepEqual([days.length, problems], [1, []])
    })
  }

  test('that is killed while it compacts a day loses and doubles nothing', async (t) => {
    const { store, url, place: folder, busy } = await crowdedDay(t)
    // The same archive in the bucket.
    const S3_PREFIX = randomUUID()
    const own = { S3_BUCKET: bucket, S3_PREFIX, S3_ENDPOINT: proxy.endpoint, ...credentials }
    const direct = { ...own, S3_ENDPOINT: server.endpoint }
    Object.assign(process.env, credentials)
    const place = openPlace(direct)
    await place.check('write')
    for await (const name of folder.list('')) await copy(folder, place, name)
    for (const [i, [what, isThere, left]] of fewer(inCompaction, 2).entries()) {
      if (i > 0) await crowd(store, place, busy)
      const before = await rowsOf(place)
      assert.ok(await archiveUntilKilled(t, { url, own, dies: isThere() }), what)
      const problems = verify(`s3://${bucket}/${S3_PREFIX}`, direct).problems
      assert.ok(problems.length > 0, what)
      for (const { problem } of problems) assert.match(problem, left, what)
      const role = await archiver(t, url, '', own)
      await until('its round', () => hadRound(role), 60_000)
      await role.stop()
      assert.deepEqual(verify(`s3://${bucket}/${S3_PREFIX}`, direct).problems, [], what)
      const after = await rowsOf(place)
      assert.deepEqual([after.event, after.files], [before.event, 2], what)
      assert.equal(after.job, before.jobs, what)
    }
  })

  test('whose manifest is under way when it is overtaken makes no fork of the chain', async (t) => {
    const { store, url } = await closedDay(t, some(5))
    const S3_PREFIX = randomUUID()
    const own = { S3_BUCKET: bucket, S3_PREFIX, S3_ENDPOINT: proxy.endpoint, ...credentials }
    const direct = { ...own, S3_ENDPOINT: server.endpoint }
    Object.assign(process.env, credentials)
    const place = openPlace(direct)
    await place.check('write')
    await archived(store, place)
    await ingest(store, [eventAt(50)])
    await wait(store)
    const [held, release] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
    const arrived = Promise.withResolvers<number>()
    proxy.fault = ({ method, path }) => {
      if (method !== 'PUT' || !/\/_manifest\/.*00002/.test(path)) return undefined
      held.resolve()
      return { before: () => release.promise, after: arrived.resolve }
    }
    const first = await archiver(t, url, '', own)
    await held.promise
    await first.kill9()

    // An older day comes first for the next one. Its first manifest is there when that of the first arrives.
    await ingest(store, [eventAt(0, {}, 12)])
    await wait(store)
    let manifests = 0
    const found = Promise.withResolvers<Problem[]>()
    proxy.fault = ({ method, path }) => {
      if (method !== 'PUT') return undefined
      if (/\/_manifest\//.test(path)) manifests++
      if (manifests !== 1 || !/\/_tmp\//.test(path)) return undefined
      manifests++
      const before = async () => {
        release.resolve()
        await arrived.promise
        found.resolve(await problemsOf(place))
      }
      return { before }
    }
    const second = await archiver(t, url, '', own)
    assert.deepEqual(await found.promise, [])
    assert.equal(await arrived.promise, 412)
    await until('both days', async () => (await rowsNoted(store)) === 14, 60_000)
    await second.stop()
    assert.deepEqual(await problemsOf(place), [])
    const [one, other] = [
      await readManifest(place, dayAt(), 1),
      await readManifest(place, dayAt(), 2),
    ]
    assert.deepEqual([other?.manifest.seq, other?.manifest.rows.event], [2, 6])
    assert.ok(one && other && other.manifest.lease > one.manifest.lease)
  })

  test('that is killed before any of its writes loses and doubles nothing', async (t) => {
    let deaths = 0
    for (let step = 3; ; step += isShort ? 8 : 3) {
      const { store, url } = await closedDay(t, some(5))
      const S3_PREFIX = randomUUID()
      const own = { S3_BUCKET: bucket, S3_PREFIX, S3_ENDPOINT: proxy.endpoint, ...credentials }
      const wasKilled = await archiveUntilKilled(t, { url, own, dies: nth(step) })
      const role = await archiver(t, url, '', own)
      await until('the day', async () => (await rowsNoted(store)) === 10, 60_000)
      await role.stop()
      const direct = { ...own, S3_ENDPOINT: server.endpoint }
      // Not by the proxy, which stands still meanwhile: it runs in this process.
      const { days, problems } = verify(`s3://${bucket}/${S3_PREFIX}`, direct)
      assert.deepEqual([days.length, problems], [1, []], `killed before write ${step}`)
      if (!wasKilled) break
      deaths++
    }
    assert.ok(deaths >= (isShort ? 1 : 3), `${deaths}`)
  })
})

async function copy(from: Place, to: Place, name: string): Promise<void> {
  const content = await from.read(name)
  assert.ok(content)
  await to.putOnce(name, await to.stage('site=fab1/copy', content.chunks()))
}

/** Rows of the newest manifests of the day, its jobs, and its files. */
async function rowsOf(place: Place) {
  const found = await readNewest(place, dayAt())
  assert.ok(found)
  const { rows, files } = found.manifest
  const ids = new Set<string>()
  const gone = new Set<string>()
  for (const { file, content } of await openFiles(place, toArchivedFiles(files))) {
    if (file.kind !== 'job') continue
    for await (const some of readRows({ file, content })) {
      for (const row of some) {
        const id = String(row[columnAt('job', 'job_id')])
        ids.add(id)
        if (row[columnAt('job', 'moved_to')] === null) gone.delete(id)
        else gone.add(id)
      }
    }
  }
  return { ...rows, jobs: ids.size - gone.size, files: files.length }
}

async function problemsOf(place: Place): Promise<Problem[]> {
  const found: Problem[] = []
  for await (const item of verifyArchive(place, { deep: true })) {
    if ('problem' in item) found.push(item)
  }
  return found
}

/** Uploads that were begun and not ended. */
async function unfinished(prefix: string): Promise<number> {
  const { Uploads = [] } = await clientOf(server.endpoint).send(
    new ListMultipartUploadsCommand({ Bucket: bucket, Prefix: prefix }),
  )
  return Uploads.length
}

type Life = {
  url: string
  own: Record<string, string>
  /** True for the request before which it dies. */
  dies: (asked: Asked) => boolean
}

/** @returns false when it had its round before that */
async function archiveUntilKilled(t: TestContext, { url, own, dies }: Life): Promise<boolean> {
  let role: Running | undefined
  let wasKilled = false
  proxy.fault = (asked) => {
    if (wasKilled || !dies(asked)) return undefined
    return {
      instead: async () => {
        await until('the role', () => role !== undefined)
        await role?.kill9()
        wasKilled = true
      },
    }
  }
  role = await archiver(t, url, '', own)
  const at = role
  const isDone = async () => wasKilled || (await hadRound(at).catch(() => false))
  await until('its end', isDone, 60_000)
  proxy.fault = () => undefined
  if (!wasKilled) await role.stop()
  return wasKilled
}
