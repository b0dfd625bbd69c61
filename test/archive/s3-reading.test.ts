import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { after, before, describe, test } from 'node:test'
import { CreateBucketCommand } from '@aws-sdk/client-s3'
import { S3Place } from '../../src/archive/places/s3.ts'
import { ArchiveReading } from '../../src/archive/read/reading.ts'
import { program } from '../support/processes.ts'
import { clientOf, credentials, needsS3, startS3 } from '../support/s3.ts'
import { dayAt } from './support.ts'
import { eventRow, jobRow, writeDay } from './written-day.ts'

/* The archive in a bucket, read back. */

describe('an archive in S3', needsS3, () => {
  let server: Awaited<ReturnType<typeof startS3>>
  const env = process.env
  before(async () => {
    Object.assign(env, credentials, { AWS_EC2_METADATA_DISABLED: 'true' })
    server = await startS3()
    await clientOf(server.endpoint).send(new CreateBucketCommand({ Bucket: 'archive' }))
  })
  after(() => server.stop())

  const wafermon = (...args: string[]) =>
    spawnSync(process.execPath, [program, 'archive', ...args, '--dir', 's3://archive/at/1'], {
      ...{ encoding: 'utf8', env: { ...env, S3_ENDPOINT: server.endpoint } },
    })

  test('is read by ranges, printed, listed and verified', async () => {
    const place = new S3Place({
      ...{ S3_BUCKET: 'archive', S3_PREFIX: 'at/1', S3_ENDPOINT: server.endpoint },
      ...{ S3_REGION: undefined, S3_PATH_STYLE: undefined, S3_CHECKSUMS: 'on', S3_SSE: undefined },
    })
    for (const d of [12, 13]) {
      const day = dayAt(d)
      const rows = Array.from({ length: 300 }, (_, i) => eventRow(day, i))
      await writeDay(place, day, [
        { kind: 'event', rows },
        { kind: 'job', rows: [jobRow(day, 1), jobRow(day, 2)] },
      ])
    }
    const reading = new ArchiveReading(place, {
      ...{ kind: 'event', from: dayAt(13).from, to: '2026-03-13T00:00:10.000000Z' },
    })
    let read = 0
    for await (const rows of reading.batches()) read += rows.length
    assert.deepEqual([read, reading.files, reading.missing], [10, 1, []])

    const { status, stdout } = wafermon('query', '--json', '--key', 'lot 2')
    assert.equal(status, 0)
    assert.equal(stdout.trim().split('\n').length, 2)
    assert.match(wafermon('ls').stdout, /2 days, 4 files, .* listed; 0 problems/)
    assert.match(wafermon('verify', '--deep').stdout, /2 days, 4 files, /)

    for await (const name of place.list('job/site=fab1/dt=2026-03-12')) await place.remove(name)
    const broken = wafermon('query', '--json')
    assert.equal(broken.status, 1)
    assert.match(broken.stderr, /MISSING {2}fab1 .*is missing, although a manifest names it/)
    assert.equal(broken.stdout.trim().split('\n').length, 2)
  })
})
