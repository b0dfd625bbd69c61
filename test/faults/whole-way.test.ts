import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, type TestContext, test } from 'node:test'
import { setTimeout as wait } from 'node:timers/promises'
import { monitored, SidecarEmitter } from '../../src/sdk/index.ts'
import { freePort, freshFolder, launch, until } from '../support/processes.ts'

/*
 * From a program to the answer, on the program as it is shipped: `wafermon up`, and jobs monitored
 * through the SDK while each process in turn is killed.
 */

const roles = ['sidecar', 'local-api', 'archiver', 'central', 'web', 'central-web'] as const
type Ports = Record<(typeof roles)[number], number>

async function startUp(t: TestContext, ...more: string[]) {
  const dir = freshFolder()
  const ports = Object.fromEntries(
    await Promise.all(roles.map(async (role) => [role, await freePort()])),
  ) as Ports
  const flags = roles.flatMap((role) => [`--${role}-port`, String(ports[role])])
  const up = launch(['up', '--dir', dir, ...flags, ...more], {})
  t.after(() => up.stop())
  await Promise.race([up.ready, up.ended.then(() => assert.fail(up.logs()))])
  const at = (role: (typeof roles)[number]) => `http://127.0.0.1:${ports[role]}`
  const token = readFileSync(join(dir, 'up.token'), 'utf8').trim()
  const get = (url: string) => fetch(url, { headers: { authorization: `Bearer ${token}` } })
  return { dir, at, token, get }
}

type Get = (url: string) => Promise<Response>

type Child = { name: string; pid: number }

function pidOf(dir: string, name: string): number | undefined {
  const file = join(dir, 'up.children')
  if (!existsSync(file)) return undefined
  return (JSON.parse(readFileSync(file, 'utf8')) as Child[]).find((c) => c.name === name)?.pid
}

type Page = { items: { event_count: number; status: string }[]; next_cursor: string | null }

/** Every row of a list, page by page. */
async function all(url: string, get: Get): Promise<Page['items']> {
  const items: Page['items'] = []
  for (let cursor: string | null = ''; cursor !== null; ) {
    const page = `${url}?limit=500${cursor === '' ? '' : `&cursor=${encodeURIComponent(cursor)}`}`
    const answer = await get(page)
    assert.equal(answer.status, 200, await answer.clone().text())
    const { items: found, next_cursor } = (await answer.json()) as Page
    items.push(...found)
    cursor = next_cursor
  }
  return items
}

const json = async (url: string, get: Get) =>
  (await get(url)).json() as Promise<Record<string, never>>

describe('the whole way', () => {
  test('keeps every event, once, while each process is killed in turn', async (t) => {
    const { dir, at, token, get } = await startUp(t, '--no-simulate')
    const emitter = new SidecarEmitter({ baseUrl: at('sidecar'), token, maxRetries: 1000 })
    let jobs = 0
    let stop = false
    const program = async () => {
      while (!stop) {
        jobs++
        await monitored(
          { app: 'etch-fdc', siteId: 'fab1', businessKey: `L${jobs}`, emitter },
          async (job) => {
            await job.subjob({ subKey: 'W01' }, async (wafer) => wafer.metric('cd_mean_nm', 38.1))
            job.tick({ progress: 0.5 })
            await wait(5)
          },
        )
      }
    }
    const running = Promise.all([program(), program()])
    for (const name of [
      'local-api',
      'sidecar',
      'embedded-postgres',
      'web',
      'central',
      'archiver',
    ]) {
      const killed = pidOf(dir, name)!
      process.kill(killed, 'SIGKILL')
      await until(`${name} to be back`, () => {
        const pid = pidOf(dir, name)
        return pid !== undefined && pid !== killed
      })
      await until(`${name === 'embedded-postgres' ? 'the database' : name} to answer`, async () => {
        const role = name === 'embedded-postgres' ? 'local-api' : (name as (typeof roles)[number])
        return (await fetch(`${at(role)}/v1/healthz`).catch(() => undefined))?.status === 200
      })
    }
    stop = true
    await running
    assert.equal(await emitter.flush(30_000), true)
    await until(
      'the spool to be empty',
      async () => (await json(`${at('sidecar')}/v1/healthz`, get)).spool_count === 0,
    )

    const jobRows = await all(`${at('local-api')}/v1/jobs`, get)
    const subjobRows = await all(`${at('local-api')}/v1/subjobs`, get)
    assert.equal(jobRows.length, jobs)
    assert.equal(subjobRows.length, jobs)
    // A job: started, progress, finished. A subjob: started, metric, finished.
    for (const row of [...jobRows, ...subjobRows]) {
      assert.equal(row.status, 'succeeded')
      assert.equal(row.event_count, 3)
    }
    const { items } = (await json(`${at('local-api')}/v1/sources`, get)) as never as {
      items: { gaps: unknown[] }[]
    }
    assert.deepEqual(
      items.map((source) => source.gaps),
      items.map(() => []),
    )
  })

  test('shows the jobs of the simulated fab, which come in through the sidecar alone', async (t) => {
    const { at, get } = await startUp(t)
    const url = `${at('local-api')}/v1/jobs`
    await until('jobs of the fab', async () => (await all(url, get)).length > 3)
    const page = await until('a job on the dashboard', async () => {
      const text = await (await get(`${at('web')}/jobs`)).text()
      return text.includes('<tr id="job-') && text
    })
    assert.match(page, /<title>Jobs/)
    const central = await json(`${at('central')}/v1/jobs?site=fab1&limit=5`, get)
    assert.ok((central.items as unknown as unknown[]).length > 0)
  })
})
