import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { after, before, describe, type TestContext, test } from 'node:test'
import {
  CreateBucketCommand,
  DeleteObjectCommand,
  GetBucketLifecycleConfigurationCommand,
  GetObjectCommand,
  ListObjectVersionsCommand,
  PutBucketLifecycleConfigurationCommand,
  PutBucketPolicyCommand,
  PutObjectCommand,
  type S3Client,
} from '@aws-sdk/client-s3'
import { connect } from '../../src/store/connect.ts'
import { ingest } from '../../src/store/ingest.ts'
import { leaveHot, oldEvent } from '../archive/old-days.ts'
import { archiver, rowsNoted, verify } from '../archive/role.ts'
import { run, takeIn, wait } from '../archive/support.ts'
import { freshDatabase } from '../support/database.ts'
import { launch, until } from '../support/processes.ts'
import { clientOf, type credentials, needsS3, type S3Server, startS3 } from '../support/s3.ts'
import { startS3Proxy } from '../support/s3-proxy.ts'
import { longTest } from '../support/short-form.ts'

/* The rights of deploy/s3, each tried by who has it; and holds and deletion in buckets with and without object lock. */

let server: S3Server
let owner: S3Client
const users: Record<string, typeof credentials> = {}

type Statement = { Resource: string | string[] }

/** A file of deploy/s3 for a bucket and a prefix. */
const readFor = (name: string, bucket: string, prefix: string) =>
  JSON.parse(
    readFileSync(new URL(`../../deploy/s3/${name}`, import.meta.url), 'utf8')
      .replaceAll('BUCKET', bucket)
      .replaceAll('PREFIX', prefix),
  )

/** A bucket where each user has the rights of the policy of its name, and no others. */
async function aBucket(Bucket: string, isLocked: boolean) {
  await owner.send(new CreateBucketCommand({ Bucket, ObjectLockEnabledForBucket: isLocked }))
  const statements = Object.keys(users).flatMap((name) =>
    (readFor(`policy-${name}.json`, Bucket, 'fab1').Statement as Statement[]).map((one, i) => ({
      ...{ ...one, Sid: `${name}${i}` },
      Principal: { AWS: [`arn:aws:iam:::user/${name}`] },
    })),
  )
  const Policy = JSON.stringify({ Version: '2012-10-17', Statement: statements })
  await owner.send(new PutBucketPolicyCommand({ Bucket, Policy }))
  const env = (name: string) => ({
    ...{ S3_BUCKET: Bucket, S3_PREFIX: 'fab1', S3_ENDPOINT: server.endpoint },
    ...users[name],
  })
  return { Bucket, env }
}

async function wafermon(args: string[], env: Record<string, string>) {
  const tool = launch(['archive', ...args], env)
  const { code } = await tool.ended
  return { code, out: tool.out(), err: tool.err() }
}

const isDenied = { name: 'AccessDenied' }

/** An archive of a day of each year in a bucket, written with the rights of an archiver. */
async function anOldArchive(
  t: TestContext,
  env: Record<string, string>,
  years: readonly number[] = [2009, 2014],
) {
  const { url } = await freshDatabase(t)
  const store = connect(url, { role: 'test', max: 2 })
  t.after(() => store.close())
  await takeIn(store, [])
  await ingest(
    store,
    years.map((year, i) => oldEvent(year, 1, `LOT-${i + 1}`)),
  )
  await wait(store)
  const role = await archiver(t, url, '', env)
  await until('the days', async () => (await rowsNoted(store)) === 2 * years.length, 60_000)
  await role.stop()
  await leaveHot(store)
  return { store, url }
}

describe('the rights of deploy/s3', needsS3, () => {
  before(async () => {
    server = await startS3()
    owner = clientOf(server.endpoint)
    for (const name of ['archiver', 'reader', 'holds']) users[name] = await server.addUser(name)
  })
  after(() => server?.stop())

  test('are enough for the archiver, for readers, for holds and for deletion', async (t) => {
    const { env, Bucket } = await aBucket('plain', false)
    const { url } = await anOldArchive(t, env('archiver'))
    const at = `s3://${Bucket}/fab1`
    const days = verify(at, env('reader'))
    assert.deepEqual([days.days.length, days.problems], [2, []])
    const who = ['--reason', 'recall', '--by', 'legal']
    const held = await wafermon(['hold', 'add', '--key', 'LOT-2', '--json', ...who], env('holds'))
    assert.equal(held.code, 0, held.err)
    assert.equal(JSON.parse(held.out).files, null)
    const plan = await wafermon(['expire', '--dry-run'], { ...env('reader'), DATABASE_URL: url })
    assert.match(
      plan.out,
      /2009-03-13 .* due .*\n.*2014-03-13 .* held +hold \S+ of "LOT-2" \(recall\)/,
    )
    const done = await wafermon(['expire', '--confirm'], { ...env('archiver'), DATABASE_URL: url })
    assert.match(done.out, /^deleted: 1 days, 2 files, .*; held: 1 days/m, done.err)
    const left = verify(at, { ...env('reader'), DATABASE_URL: url })
    assert.deepEqual([left.days.length, left.problems], [2, []])
    assert.equal(
      (await wafermon(['hold', 'rm', JSON.parse(held.out).hold.id, ...who], env('holds'))).code,
      0,
    )
  })

  test('are not enough for anything else', async (t) => {
    const { env, Bucket } = await aBucket('least', false)
    const { store } = await anOldArchive(t, env('archiver'))
    const [row] = await run(store, `select path from archive_file order by path limit 1`)
    const Key = `fab1/${row?.path}`
    const [archiverS3, reader, holds] = ['archiver', 'reader', 'holds'].map((name) =>
      clientOf(server.endpoint, users[name]),
    ) as [S3Client, S3Client, S3Client]
    const put = (client: S3Client, key: string) =>
      client.send(new PutObjectCommand({ Bucket, Key: key, Body: 'x' }))
    const remove = (client: S3Client) => client.send(new DeleteObjectCommand({ Bucket, Key }))
    await put(owner, 'other/x')
    await assert.rejects(put(archiverS3, 'other/x'), isDenied)
    await assert.rejects(
      archiverS3.send(new GetObjectCommand({ Bucket, Key: 'other/x' })),
      isDenied,
    )
    for (const client of [reader, holds]) {
      await assert.rejects(put(client, Key), isDenied)
      await assert.rejects(remove(client), isDenied)
    }
    await assert.rejects(put(reader, 'fab1/_hold/a/00001.json'), isDenied)
    const refused = await wafermon(['hold', 'add', '--reason', 'x'], env('reader'))
    assert.notEqual(refused.code, 0)
    assert.match(
      refused.err,
      /access is denied; the credentials need the rights of docs\/archive-s3.md/,
    )
  })

  test('hold files against whoever deletes them, where the bucket has object lock', async (t) => {
    const { env, Bucket } = await aBucket('locked', true)
    const { url } = await anOldArchive(t, env('archiver'))
    const who = ['--reason', 'recall', '--by', 'legal']
    const added = await wafermon(['hold', 'add', '--key', 'LOT-2', '--json', ...who], env('holds'))
    assert.equal(added.code, 0, added.err)
    const { hold, days, files } = JSON.parse(added.out)
    assert.deepEqual([days, files], [1, 2])
    const versions = async (Prefix: string) =>
      (await owner.send(new ListObjectVersionsCommand({ Bucket, Prefix }))).Versions ?? []
    const [held] = await versions('fab1/event/site=fab1/dt=2014-03-13/')
    const of = { Bucket, Key: held?.Key, VersionId: held?.VersionId }
    await assert.rejects(owner.send(new DeleteObjectCommand(of)), isDenied)
    const [own] = await versions(`fab1/_hold/${hold.id}/`)
    const ofHold = { Bucket, Key: own?.Key, VersionId: own?.VersionId }
    await assert.rejects(owner.send(new DeleteObjectCommand(ofHold)), isDenied)
    const done = await wafermon(['expire', '--confirm'], { ...env('archiver'), DATABASE_URL: url })
    assert.match(done.out, /^deleted: 1 days, 2 files, .*; held: 1 days/m, done.err)
    assert.equal((await wafermon(['hold', 'rm', hold.id, ...who], env('holds'))).code, 0)
    await owner.send(new DeleteObjectCommand(of))
  })

  test('go with lifecycle rules that a store takes as they are', async () => {
    await owner.send(new CreateBucketCommand({ Bucket: 'rules' }))
    const rules = readFor('lifecycle.json', 'rules', 'fab1')
    const put = { Bucket: 'rules', LifecycleConfiguration: rules }
    await owner.send(new PutBucketLifecycleConfigurationCommand(put))
    const { Rules } = await owner.send(
      new GetBucketLifecycleConfigurationCommand({ Bucket: 'rules' }),
    )
    const inOrder = (all: readonly { ID?: string | undefined }[]) =>
      [...all].sort((a, b) => String(a.ID).localeCompare(String(b.ID)))
    assert.deepEqual(inOrder(Rules ?? []), inOrder(rules.Rules))
  })

  longTest('let a deletion be finished that is killed before any of its writes', async (t) => {
    const { env } = await aBucket('again', false)
    const years = [2007, 2008, 2009]
    const { url, store } = await anOldArchive(t, env('archiver'), years)
    const all = { ...env('archiver'), DATABASE_URL: url }
    const proxy = await startS3Proxy(server.endpoint)
    t.after(() => proxy.stop())
    let deaths = 0
    // The first three writes are those that try the bucket.
    for (let step = 4; ; step++) {
      let writes = 0
      const tool = launch(['archive', 'expire', '--confirm'], {
        ...all,
        S3_ENDPOINT: proxy.endpoint,
      })
      proxy.fault = ({ method }) => {
        if (!['PUT', 'POST', 'DELETE'].includes(method) || ++writes !== step) return undefined
        return { instead: () => tool.kill9() }
      }
      const { signal } = await tool.ended
      const { problems } = verify('s3://again/fab1', { ...env('reader'), DATABASE_URL: url })
      const isLeft = ({ problem }: { problem: string }) => /deletes it for its age/.test(problem)
      assert.ok(problems.every(isLeft), `killed before write ${step}: ${JSON.stringify(problems)}`)
      if (signal === null) break
      deaths++
    }
    assert.ok(deaths >= 5, `${deaths}`)
    assert.equal(await rowsNoted(store), 0)
    assert.equal((await run(store, 'select from archive_removal')).length, 0)
    const left = verify('s3://again/fab1', { ...env('reader'), DATABASE_URL: url })
    assert.deepEqual([left.days.length, left.problems], [years.length, []])
  })
})
