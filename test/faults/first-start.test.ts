import assert from 'node:assert/strict'
import { chmodSync, mkdirSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { isNewFolder } from '../../src/roles/up/folder.ts'
import { freshFolder, launch, until } from '../support/processes.ts'

type Up = ReturnType<typeof launch>

const ports = ['sidecar', 'local-api', 'archiver', 'central', 'web', 'central-web']

async function startUp(dir: string, more: readonly string[] = []): Promise<Up> {
  const free = ports.flatMap((name) => [`--${name}-port`, '0'])
  const up = launch(['up', '--dir', dir, ...free, ...more], {})
  await Promise.race([up.ready, up.ended.then(() => assert.fail(`up ended: ${up.logs()}`))])
  return up
}

const addressOf = (up: Up, what: string) =>
  new RegExp(`^ +${what} +(http://[^/ ]+)`, 'm').exec(up.logs())?.[1] ?? assert.fail(up.logs())

async function ask(dir: string, url: string): Promise<Response> {
  const token = readFileSync(join(dir, 'up.token'), 'utf8').trim()
  const answer = await fetch(url, { headers: { authorization: `Bearer ${token}` } })
  assert.equal(answer.status, 200, url)
  return answer
}

type Counts = { items: { bucket: string; count: number }[] }
type Jobs = { items: { started_at: string; usual?: object }[] }

const hoursOf = async (dir: string, up: Up, from: number, to: number): Promise<number[]> => {
  const range = `from=${new Date(from).toISOString()}&to=${new Date(to).toISOString()}`
  const url = `${addressOf(up, 'API')}/v1/stats?bucket=hour&${range}`
  return ((await (await ask(dir, url)).json()) as Counts).items.map(({ count }) => count)
}

const readLog = (dir: string) => readFileSync(join(dir, 'logs/up.log'), 'utf8')
const hourMs = 3_600_000

describe('the first start in a new folder', () => {
  const above = freshFolder()
  // Another user may run the database.
  chmodSync(above, 0o711)
  const dir = join(above, 'state')
  let up: Up
  let startedAt: number
  before(async () => {
    up = await startUp(dir)
    startedAt = Date.now()
  })
  after(async () => {
    await up.stop()
  })

  test('has archived a closed day within a minute', async () => {
    const manifests = () =>
      readdirSync(join(dir, 'archive'), { recursive: true, encoding: 'utf8' }).filter((name) =>
        /_manifest.*\d{5}\.json$/.test(name),
      )
    const [name = ''] = await until('a day', () => manifests().length > 0 && manifests(), 60_000)
    const { files } = JSON.parse(readFileSync(join(dir, 'archive', name), 'utf8')) as {
      files: { path: string }[]
    }
    const kinds = files.map(({ path }) => path.split('/')[0]).sort()
    assert.deepEqual(kinds, ['event', 'job', 'subjob'])
  })

  test('fills the last 24 hours, as many jobs in each', async () => {
    await until('the past', () => readLog(dir).includes('24 hours are simulated'), 60_000)
    const thisHour = Math.floor(startedAt / hourMs) * hourMs
    const hours = await hoursOf(dir, up, thisHour - 23 * hourMs, thisHour)
    assert.equal(hours.length, 23)
    for (const count of hours) assert.ok(count > 1000 && count < 1400, `${hours}`)
  })

  test('knows how long jobs usually take', async () => {
    const url = `${addressOf(up, 'API')}/v1/jobs?status=succeeded&limit=100`
    const { items } = (await (await ask(dir, url)).json()) as Jobs
    assert.ok(items.filter(({ usual }) => usual !== undefined).length > 50)
  })

  test('goes on with the fab of now', async () => {
    const now = new Date(startedAt).toISOString()
    const url = `${addressOf(up, 'API')}/v1/jobs?limit=1&from=${now}`
    await until('a job of now', async () => {
      const { items } = (await (await ask(dir, url)).json()) as Jobs
      return items.length > 0
    })
  })

  test('says that its jobs are simulated, and how to start without', async () => {
    const how = /wafermon up --no-simulate --dir FOLDER/
    assert.match(up.logs(), how)
    for (const what of ['dashboard', 'all sites']) {
      const html = await (await ask(dir, `${addressOf(up, what)}/jobs`)).text()
      assert.match(html, /<a href="#simulated">simulated jobs<\/a>/)
      assert.match(html, how)
    }
  })

  test('is the only one with a past, and its jobs stay simulated', async () => {
    const [from, to] = [startedAt - 100 * hourMs, startedAt - hourMs]
    const before = await hoursOf(dir, up, from, to)
    await up.stop()
    up = await startUp(dir)
    assert.ok(readLog(dir).split('are simulated').length === 2, 'told once')
    assert.deepEqual(await hoursOf(dir, up, from, to), before)
    await up.stop()
    up = await startUp(dir, ['--no-simulate'])
    const html = await (await ask(dir, `${addressOf(up, 'dashboard')}/jobs`)).text()
    assert.match(html, /simulated jobs/)
  })
})

test('a folder with data of any kind is not new', () => {
  assert.equal(isNewFolder(freshFolder()), true)
  for (const name of ['postgres', 'spool', 'archive']) {
    const dir = freshFolder()
    mkdirSync(join(dir, name))
    assert.equal(isNewFolder(dir), false)
  }
})
