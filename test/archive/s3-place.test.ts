import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import {
  CreateBucketCommand,
  CreateMultipartUploadCommand,
  ListMultipartUploadsCommand,
  ListObjectVersionsCommand,
  PutBucketVersioningCommand,
  PutObjectCommand,
  type S3Client,
} from '@aws-sdk/client-s3'
import * as z from 'zod'
import { openPlace } from '../../src/archive/places/index.ts'
import type { Place } from '../../src/archive/places/place.ts'
import { S3Place } from '../../src/archive/places/s3.ts'
import { s3Settings } from '../../src/archive/places/s3-settings.ts'
import { ConfigError } from '../../src/core/errors.ts'
import { freshFolder, program, startRole, until } from '../support/processes.ts'
import { clientOf, credentials, needsS3, startS3 } from '../support/s3.ts'
import { type Asked, type Fault, type S3Proxy, startS3Proxy } from '../support/s3-proxy.ts'
import { get, hasCode, listed, name, put, testPlace } from './place-contract.ts'
import { health, often, rowsNoted, some } from './role.ts'
import { closedDay } from './support.ts'

/* The archive in a bucket of a real server, and behind a way to it that fails. */

const bucket = 'archive'
let server: Awaited<ReturnType<typeof startS3>>
let client: S3Client
let prefixes = 0

/** A place of its own in a bucket. */
function settingsOf(more: Record<string, string> = {}) {
  const read = z.object(s3Settings).parse({
    ...{ S3_BUCKET: bucket, S3_PREFIX: `at/${++prefixes}`, S3_ENDPOINT: server.endpoint },
    ...more,
  })
  return { ...read, S3_BUCKET: read.S3_BUCKET ?? bucket }
}

const openS3 = (more: Record<string, string> = {}) => new S3Place(settingsOf(more))

const large = 17 * 2 ** 20
async function* manyBytes() {
  for (let i = 0; i < 17; i++) yield Buffer.alloc(2 ** 20, i)
}

const env = process.env
before(() => Object.assign(env, credentials, { AWS_EC2_METADATA_DISABLED: 'true' }))

describe('the settings of a place in S3', () => {
  const withoutStore: [string, Record<string, string>, RegExp][] = [
    ['no region', {}, /S3_BUCKET: s3:\/\/fab1: no region is known; set S3_REGION/],
    [
      'no credentials',
      { S3_REGION: 'eu-central-1' },
      /there are no credentials; set AWS_ACCESS_KEY_ID/,
    ],
    [
      'a profile that leads in a circle',
      { S3_REGION: 'eu-central-1', AWS_PROFILE: 'a' },
      /^S3_BUCKET: s3:\/\/fab1: .*(circular|credentials)/i,
    ],
  ]
  for (const [what, given, words] of withoutStore) {
    test(`are refused by a command in one line: ${what}`, () => {
      const home = freshFolder()
      mkdirSync(join(home, '.aws'))
      const circle = '[profile a]\nrole_arn=arn:aws:iam::1:role/x\nsource_profile=b\n'
      writeFileSync(
        join(home, '.aws/config'),
        `${circle}[profile b]\nrole_arn=arn:aws:iam::1:role/y\nsource_profile=a\n`,
      )
      const none = { AWS_EC2_METADATA_DISABLED: 'true', HOME: home, PATH: env.PATH ?? '' }
      const { status, stderr } = spawnSync(process.execPath, [program, 'archive', 'ls'], {
        ...{ encoding: 'utf8', env: { ...none, S3_BUCKET: 'fab1', ...given } },
      })
      assert.equal(status, 2, stderr)
      assert.match(stderr, words)
      assert.equal(stderr.trim().split('\n').length, 1, stderr)
    })
  }

  const refusals: [Record<string, string>, RegExp][] = [
    [{ S3_BUCKET: 'b', ARCHIVE_DIR: '/a' }, /S3_BUCKET and ARCHIVE_DIR are both set;.*remove one/],
    [{ S3_PREFIX: 'fab1' }, /^S3_PREFIX: there is no S3_BUCKET; set it/],
    [{ S3_BUCKET: 'b', S3_PREFIX: 'a//b' }, /^S3_PREFIX: must be names with a slash between/],
    [{ S3_BUCKET: 'b', S3_ENDPOINT: 's3.fab1' }, /^S3_ENDPOINT: must be a URL such as/],
    [{ S3_BUCKET: 'b', S3_CHECKSUMS: 'md5' }, /^S3_CHECKSUMS: must be one of on, off/],
    [{ S3_BUCKET: 'b', S3_SSE: 'des' }, /^S3_SSE: must be AES256/],
    [{ ARCHIVE_DIR: 's3://b/p' }, /^ARCHIVE_DIR: is a folder; for a bucket, set S3_BUCKET/],
  ]
  for (const [given, words] of refusals) {
    test(`are refused with the remedy: ${Object.entries(given).join(' ')}`, () => {
      assert.throws(
        () => openPlace(given),
        (error) => error instanceof ConfigError && words.test(error.message),
      )
    })
  }

  test('choose the bucket in place of the folder', () => {
    assert.equal(openPlace({ S3_BUCKET: 'b', S3_PREFIX: 'p/' }).address, 's3://b/p')
    assert.equal(openPlace({}).setting, 'ARCHIVE_DIR')
  })
})

describe('a place in S3', needsS3, () => {
  before(async () => {
    server = await startS3()
    client = clientOf(server.endpoint)
    await client.send(new CreateBucketCommand({ Bucket: bucket }))
  })
  after(() => server.stop())

  testPlace('Ceph RGW', () => {
    const settings = settingsOf()
    return {
      open: () => new S3Place(settings),
      async cut(cut, bytes) {
        const Body = ((await get(new S3Place(settings), cut)) ?? '').slice(0, bytes)
        const Key = `${settings.S3_PREFIX}/${cut}`
        await client.send(new PutObjectCommand({ Bucket: bucket, Key, Body }))
      },
      unusable: () => openS3({ S3_BUCKET: 'missing' }),
    }
  })

  describe('that is real', () => {
    for (const S3_CHECKSUMS of ['on', 'off']) {
      test(`takes large files in parts, with checksums ${S3_CHECKSUMS}`, async () => {
        const place = openS3({ S3_CHECKSUMS })
        await place.putOnce(name, await place.stage('large', manyBytes()))
        await place.putOnce(name, await place.stage('large', manyBytes()))
        const content = await place.read(name)
        assert.equal(content?.bytes, large)
        let at = 0
        for await (const chunk of content.chunks()) {
          assert.ok(chunk.byteLength <= 4 * 2 ** 20)
          assert.equal(chunk[0], Math.floor(at / 2 ** 20))
          at += chunk.byteLength
        }
        assert.equal(at, large)
        assert.deepEqual(await listed(place), [name])
        await assert.rejects(put(place, name, 'other'), hasCode('conflict'))
      })
    }

    test('gives up uploads that a crash has left, and those of no other site', async () => {
      const settings = settingsOf()
      const begin = (site: string) =>
        client.send(
          new CreateMultipartUploadCommand({
            ...{
              Bucket: bucket,
              Key: `${settings.S3_PREFIX}/event/${site}/dt=2026-03-01/a.parquet`,
            },
          }),
        )
      await Promise.all([begin('site=fab1'), begin('site=fab10')])
      await new S3Place(settings).clearStaged('site=fab1')
      const left = await client.send(
        new ListMultipartUploadsCommand({ Bucket: bucket, Prefix: settings.S3_PREFIX }),
      )
      const keys = (left.Uploads ?? []).map(({ Key = '' }) => Key)
      assert.deepEqual(keys, [`${settings.S3_PREFIX}/event/site=fab10/dt=2026-03-01/a.parquet`])
    })

    test('leaves no upload of a file whose bytes end with an error', async () => {
      const settings = settingsOf()
      const breaking = async function* () {
        yield* manyBytes()
        throw new Error('connection lost')
      }
      await assert.rejects(new S3Place(settings).stage('x', breaking()), /connection lost/)
      const left = await client.send(
        new ListMultipartUploadsCommand({ Bucket: bucket, Prefix: settings.S3_PREFIX }),
      )
      assert.deepEqual(left.Uploads ?? [], [])
    })

    for (const kind of ['versioned', 'locked'] as const) {
      test(`says what a ${kind} bucket does not guarantee, and archives there`, async () => {
        const Bucket = `bucket-${kind}`
        const locked = kind === 'locked'
        await client.send(new CreateBucketCommand({ Bucket, ObjectLockEnabledForBucket: locked }))
        const VersioningConfiguration = { Status: 'Enabled' as const }
        if (!locked) {
          await client.send(new PutBucketVersioningCommand({ Bucket, VersioningConfiguration }))
        }
        const said: string[] = []
        const place = new S3Place(settingsOf({ S3_BUCKET: Bucket }), {
          onLimit: (limit) => said.push(limit),
        })
        await place.check('write')
        await place.check('write')
        const { Versions, DeleteMarkers } = await client.send(
          new ListObjectVersionsCommand({ Bucket }),
        )
        assert.deepEqual([Versions, DeleteMarkers], [undefined, undefined], 'the check left some')
        assert.match(place.limits.join('\n'), /does not keep If-None-Match .* run one archiver/)
        assert.match(place.limits.join('\n'), /keeps versions.* add a lifecycle rule/)
        assert.deepEqual(said, place.limits)
        await put(place, name, 'first')
        await assert.rejects(put(place, name, 'other'), hasCode('conflict'))
        assert.equal(await get(place, name), 'first')
      })
    }

    test('has no limits in a bucket without versions', async () => {
      const place = openS3()
      await place.check('write')
      assert.deepEqual(place.limits, [])
    })

    const wrong: [string, Record<string, string>, RegExp][] = [
      ['key', { AWS_ACCESS_KEY_ID: 'AKNOBODY' }, /does not know this access key; correct AWS_ACC/],
      ['secret', { AWS_SECRET_ACCESS_KEY: 'no' }, /the secret .*; correct AWS_SECRET_ACCESS_KEY/],
    ]
    for (const [what, given, words] of wrong) {
      test(`names a wrong ${what}`, async () => {
        const old = Object.fromEntries(Object.keys(given).map((key) => [key, env[key]]))
        Object.assign(env, given)
        try {
          await assert.rejects(openS3().check('write'), hasCode('unavailable', words))
        } finally {
          Object.assign(env, old)
        }
      })
    }

    test('names a bucket that is not there, and an address where nothing listens', async () => {
      const missing = openS3({ S3_BUCKET: 'missing' })
      await assert.rejects(
        missing.check('read'),
        hasCode('unavailable', /there is no bucket missing; create it/),
      )
      await assert.rejects(missing.stat('x'), hasCode('unavailable', /there is no bucket missing/))
      const nowhere = openS3({ S3_ENDPOINT: 'http://127.0.0.1:9' })
      await assert.rejects(
        nowhere.check('write'),
        hasCode('unavailable', /127.0.0.1:9 does not answer \(ECONNREFUSED\); look at S3_ENDPOINT/),
      )
    })

    test('names a clock that is 20 minutes off', async (t) => {
      t.mock.timers.enable({ apis: ['Date'], now: Date.now() + 20 * 60_000 })
      await assert.rejects(
        openS3().check('write'),
        hasCode('unavailable', /the clock of this machine .* by over 15 min; set the clock/),
      )
    })
  })

  describe('behind a way that fails', () => {
    let proxy: S3Proxy
    before(async () => {
      proxy = await startS3Proxy(server.endpoint)
    })
    after(() => proxy.stop())

    /** A place behind it, and its requests; the first few of a kind meet a fault. */
    function failing(which: (asked: Asked) => boolean, fault: Fault, times = Infinity) {
      const settings = settingsOf({ S3_ENDPOINT: proxy.endpoint })
      let met = 0
      proxy.fault = (asked) => (which(asked) && met++ < times ? fault : undefined)
      const direct = new S3Place({ ...settings, S3_ENDPOINT: server.endpoint })
      const place: Place = new S3Place(settings, { silentMs: 700 })
      return { place, direct, key: `${settings.S3_PREFIX}/${name}`, met: () => met }
    }
    const naming = ({ method, path }: Asked) => method === 'PUT' && path.includes('/event/')
    const reading = ({ method }: Asked) => method === 'GET'

    test('tries again what a busy store puts off, and says so when it goes on', async () => {
      const slow = { status: 503, code: 'SlowDown' }
      const { place, direct, met } = failing(naming, slow, 2)
      await put(place, name, 'text')
      assert.equal(await get(direct, name), 'text')
      assert.ok(met() >= 3)
      const always = failing(naming, slow)
      await assert.rejects(
        put(always.place, name, 'text'),
        hasCode('unavailable', /asks for fewer requests/),
      )
      assert.deepEqual(await listed(always.direct), [])
    })

    test('asks again after 409, which is not 412', async () => {
      const conflict = { status: 409, code: 'ConditionalRequestConflict' }
      const { place, direct } = failing(naming, conflict, 2)
      await assert.doesNotReject(put(place, name, 'text'))
      assert.equal(await get(direct, name), 'text')
    })

    test('compares what is there when 412 says that a name is taken', async () => {
      const taken = { status: 412, code: 'PreconditionFailed' }
      const { place, direct } = failing(naming, taken)
      await put(direct, name, 'theirs')
      await assert.rejects(put(place, name, 'ours'), hasCode('conflict', /different content/))
      await put(place, name, 'theirs')
      assert.equal(await get(direct, name), 'theirs')
    })

    test('takes its own name for given when the answer was lost', async () => {
      const { place, direct } = failing(naming, 'lose', 1)
      await put(place, name, 'text')
      assert.equal(await get(direct, name), 'text')
    })

    test('refuses a store that says 200 and keeps other bytes, and can put the name after', async () => {
      const lie: Fault = { instead: () => Promise.resolve() }
      const { place, direct, key } = failing(naming, lie, 1)
      lie.instead = () => client.send(new PutObjectCommand({ Bucket: bucket, Key: key, Body: 'x' }))
      await place.check('write')
      await assert.rejects(
        put(place, name, 'text'),
        hasCode('unavailable', /4 bytes were written and the store keeps 1 bytes with other/),
      )
      assert.deepEqual(await listed(direct), [])
      await put(place, name, 'text')
      assert.equal(await get(direct, name), 'text')
    })

    test('refuses a store that says 200 and keeps nothing', async () => {
      const { place } = failing(naming, { instead: () => Promise.resolve() })
      await assert.rejects(
        put(place, name, 'text'),
        hasCode('unavailable', /the store keeps nothing; look at the store/),
      )
    })

    test('reads again what broke off, and never takes a part for the whole', async () => {
      const { place, direct } = failing(reading, 'cut', 2)
      await put(direct, name, '0123456789')
      assert.equal(await get(place, name), '0123456789')
      const always = failing(reading, 'cut')
      await put(always.direct, name, '0123456789')
      await assert.rejects(get(always.place, name), hasCode('unavailable', /does not answer/))
    })

    test('ends a request that stalls', async () => {
      const { place } = failing(() => true, 'stall')
      await assert.rejects(place.check('write'), hasCode('unavailable', /does not answer/))
    })

    test('names the region that a bucket is in', async () => {
      const headers = { 'x-amz-bucket-region': 'eu-central-1' }
      const { place } = failing(() => true, { status: 301, code: 'PermanentRedirect', headers })
      await assert.rejects(
        place.check('write'),
        hasCode('unavailable', /another region; set S3_REGION to eu-central-1/),
      )
    })
  })

  describe('of an archiver', () => {
    test('has what was archived, which verifies by its address', async (t) => {
      const { store, url } = await closedDay(t, some(5))
      const { S3_PREFIX = '' } = settingsOf()
      const own = { ...credentials, S3_ENDPOINT: server.endpoint }
      const role = await startRole(t, 'archiver', {
        ...{ DATABASE_URL: url, ...often, ...own, S3_BUCKET: bucket, S3_PREFIX },
      })
      await until('the day', async () => (await rowsNoted(store)) >= 5)
      assert.equal((await health(role)).archive_dir, `s3://${bucket}/${S3_PREFIX}`)
      const address = ['--dir', `s3://${bucket}/${S3_PREFIX}`]
      const run = (command: string, ...flags: string[]) =>
        execFileSync(process.execPath, [program, 'archive', command, ...address, ...flags], {
          ...{ encoding: 'utf8', env: { ...env, ...own, ARCHIVE_DIR: freshFolder() } },
        })
      const verified = JSON.parse(run('verify', '--deep', '--json', '--database-url', url))
      assert.deepEqual(verified.problems, [])
      assert.match(run('ls'), /fab1/)
    })
  })
})
