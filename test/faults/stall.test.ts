import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import { type AddressInfo, createServer as createTcpServer } from 'node:net'
import { join } from 'node:path'
import { describe, type TestContext, test } from 'node:test'
import { must } from '../../src/core/must.ts'
import { findProcesses } from '../../src/embedded-postgres/leftovers.ts'
import { freshDatabase } from '../support/database.ts'
import { freshFolder, startRole, until } from '../support/processes.ts'
import { silentProxy } from '../support/proxies.ts'
import { openOn } from '../support/store.ts'
import { choosePorts, pidOf, startUp } from '../support/up.ts'
import { postEvents, startOfJob } from '../support/wire-events.ts'

/*
 * A role that runs, and gets nothing done, because what it works with is stuck: not away, not slow, and
 * without an error. Its health has to say so. One test a role.
 */

type Health = { code: number; status: string; trouble?: string; faults?: string[]; stream?: string }

async function healthOf(url: string): Promise<Health> {
  const answer = await fetch(`${url}/v1/healthz`)
  return { ...((await answer.json()) as Health), code: answer.status }
}

const post = (url: string) => postEvents(url, startOfJob())

/** Locks a table until it is let go. */
async function lockTable(t: TestContext, url: string, table: string) {
  // Not one of ours: those would be taken for a stopped process, and ended.
  const session = { idle_in_transaction_session_timeout: 0, application_name: 'psql' }
  const store = openOn(t, url, { session })
  const free = Promise.withResolvers<void>()
  const locked = Promise.withResolvers<void>()
  const work = store.begin({ operation: 'test', table }, async (tx) => {
    await tx.unsafe(`lock table ${table} in access exclusive mode`)
    locked.resolve()
    await free.promise
  })
  work.catch(locked.reject)
  t.after(() => free.resolve())
  await locked.promise
  return async () => {
    free.resolve()
    await work
  }
}

/** A server that takes connections and says nothing. */
async function mute(t: TestContext): Promise<string> {
  const sockets = new Set<{ destroy(): void }>()
  const server = createTcpServer((socket) => {
    sockets.add(socket.on('error', () => {}))
  })
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  t.after(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

describe('a role that gets nothing done says so', { concurrency: true }, () => {
  test('the sidecar, whose local API takes events and never answers', async (t) => {
    const env = {
      SPOOL_DIR: freshFolder(),
      LOCAL_API_BASE: await mute(t),
      REQUEST_TIMEOUT_S: '600',
    }
    const { url } = await startRole(t, 'sidecar', env)
    assert.equal((await post(url)).status, 200)
    const { code, faults } = await until('the fault', async () => {
      const health = await healthOf(url)
      return health.status === 'degraded' && health
    })
    assert.equal(code, 200, 'it still takes events')
    assert.match(
      faults?.[0] ?? '',
      /^local-api: events wait, and none was delivered or refused for \d+ s$/,
    )
  })

  test('the local API, while a table is locked', async (t) => {
    const { url: database } = await freshDatabase(t)
    const { url } = await startRole(t, 'local-api', { DATABASE_URL: database })
    await until('it to be ready', async () => (await healthOf(url)).code === 200)
    const unlock = await lockTable(t, database, 'job')
    const waiting = post(url)
    const { trouble } = await until('the trouble', async () => {
      const health = await healthOf(url)
      return health.code === 503 && health
    })
    assert.match(trouble ?? '', /^nothing was committed for \d+ s, events waiting: 1;/)
    await unlock()
    assert.equal((await waiting).status, 200)
    await until('it to be well', async () => (await healthOf(url)).code === 200)
  })

  test('the local API, whose connection for looking after the others goes silent', async (t) => {
    const { url: database } = await freshDatabase(t)
    const proxy = await silentProxy(t, database)
    const { url } = await startRole(t, 'local-api', { DATABASE_URL: proxy.url })
    await until('it to be ready', async () => (await healthOf(url)).code === 200)
    // Nothing is closed and nothing fails, and all other connections work.
    assert.equal(proxy.silence('wafermon local-api watch'), 1)
    await until('the trouble', async () => (await healthOf(url)).code === 503)
    await until('it to be well by itself', async () => (await healthOf(url)).code === 200)
    assert.equal((await post(url)).status, 200)
  })

  test('the archiver, while a table is locked', async (t) => {
    const { url: database } = await freshDatabase(t)
    const unlock = await lockTable(t, database, 'archive_file')
    const env = { DATABASE_URL: database, ARCHIVE_DIR: freshFolder() }
    const { url } = await startRole(t, 'archiver', env)
    const { trouble } = await until('the trouble', async () => {
      const health = await healthOf(url)
      return health.code === 503 && health
    })
    assert.match(trouble ?? '', /waited for a lock in the database for \d+ s/)
    await unlock()
    await until('it to be well', async () => (await healthOf(url)).code === 200)
  })

  test('central, whose site says that it is well and answers no question', async (t) => {
    const site = createServer((request, response) => {
      if (request.method === 'HEAD') response.end()
      else if (request.url === '/v1/healthz') {
        response.setHeader('content-type', 'application/json')
        response.end(JSON.stringify({ status: 'ok', service: 'local-api', version: '1' }))
      }
    })
    await new Promise<void>((done) => site.listen(0, '127.0.0.1', done))
    t.after(() => {
      site.closeAllConnections()
      site.close()
    })
    const address = `http://127.0.0.1:${(site.address() as AddressInfo).port}`
    const { url } = await startRole(t, 'central', {
      SITES: `fab1=${address}`,
      REQUEST_TIMEOUT_S: '0.5',
    })
    await until('it to be well', async () => (await healthOf(url)).status === 'ok')
    assert.equal((await fetch(`${url}/v1/apps`)).status, 502)
    assert.equal((await healthOf(url)).status, 'degraded')
  })

  test('central, whose site takes connections and never answers, however patient it is', async (t) => {
    const { url } = await startRole(t, 'central', {
      SITES: `fab1=${await mute(t)}`,
      REQUEST_TIMEOUT_S: '600',
    })
    assert.equal((await healthOf(url)).code, 503)
  })

  test('web, whose API takes connections and never answers', async (t) => {
    const env = { LOCAL_API: await mute(t), REQUEST_TIMEOUT_S: '600' }
    const { url } = await startRole(t, 'web', env)
    const { code, status, stream } = await healthOf(url)
    assert.deepEqual([code, status], [200, 'degraded'])
    assert.notEqual(stream, 'live')
  })
})

describe('wafermon up says so of its roles', () => {
  test('of one that stands still, and of one whose database does', async (t) => {
    const up = await startUp(freshFolder(), await choosePorts())
    const sidecar = must(pidOf(up.dir, 'sidecar'), 'it runs')
    const standing = new Set<number>()
    const stop = (pid: number) => standing.add(pid) && process.kill(pid, 'SIGSTOP')
    const goOn = () => {
      for (const pid of standing) process.kill(pid, 'SIGCONT')
      standing.clear()
    }
    t.after(() => {
      goOn()
      return up.stop()
    })
    const said = (words: string) => until(words, () => up.logs().includes(words), 60_000)
    for (const pid of [sidecar, ...findProcesses(join(up.dir, 'postgres'))]) stop(pid)
    await said('role does not work, role "sidecar", why "it did not answer within 3 s"')
    await said('role does not work, role "local-api", why "')
    goOn()
    await said('role works again, role "sidecar"')
    await said('role works again, role "local-api"')
  })
})
