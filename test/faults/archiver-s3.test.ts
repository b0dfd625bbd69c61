import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, describe, type TestContext, test } from 'node:test'
import { CreateBucketCommand } from '@aws-sdk/client-s3'
import { archiver, health, rowsNoted, some, verify } from '../archive/role.ts'
import { closedDay } from '../archive/support.ts'
import { type Running, until } from '../support/processes.ts'
import { clientOf, credentials, needsS3, startS3 } from '../support/s3.ts'
import { type S3Proxy, startS3Proxy } from '../support/s3-proxy.ts'

/* An archiver that is killed while it writes to a bucket of a real server. */

const bucket = 'archive'
let server: Awaited<ReturnType<typeof startS3>>
let proxy: S3Proxy

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

  test('that is killed before any of its writes loses and doubles nothing', async (t) => {
    let deaths = 0
    for (let step = 3; ; step += 3) {
      const { store, url } = await closedDay(t, some(5))
      const S3_PREFIX = randomUUID()
      const own = { S3_BUCKET: bucket, S3_PREFIX, S3_ENDPOINT: proxy.endpoint, ...credentials }
      const wasKilled = await archiveUntilKilled(t, { url, own, step })
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
    assert.ok(deaths >= 3, `${deaths}`)
  })
})

type Life = { url: string; own: Record<string, string>; step: number }

/** @returns false when it was done before that write */
async function archiveUntilKilled(t: TestContext, { url, own, step }: Life): Promise<boolean> {
  let role: Running | undefined
  let [writes, wasKilled] = [0, false]
  proxy.fault = ({ method }) => {
    if (!['PUT', 'POST', 'DELETE'].includes(method) || ++writes !== step) return undefined
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
  const isDone = async () => (await health(at).catch(() => undefined))?.days_archived === 1
  await until('its end', async () => wasKilled || (await isDone()), 60_000)
  proxy.fault = () => undefined
  if (!wasKilled) await role.stop()
  return wasKilled
}
