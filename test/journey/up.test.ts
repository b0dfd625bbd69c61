import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import {
  existsSync,
  lstatSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { findProcesses } from '../../src/embedded-postgres/leftovers.ts'
import { isRunning } from '../../src/platform/lock-file.ts'
import { freshFolder, launch, until } from '../support/processes.ts'
import { fewer } from '../support/short-form.ts'
import {
  type Child,
  childrenOf,
  choosePorts,
  pidOf,
  roles,
  startUp,
  tokenOf,
  type Up,
  upFlags,
} from '../support/up.ts'
import { findUnknown } from '../support/written-files.ts'

/** The process that holds the folder, as its lock names it. */
const holderOf = (dir: string) =>
  lstatSync(join(dir, 'up.lock'), { throwIfNoEntry: false })
    ? readlinkSync(join(dir, 'up.lock'))
    : ''

const othersOf = (dir: string, name: string) =>
  childrenOf(dir)
    .filter((child) => child.name !== name)
    .map(({ name, pid }) => `${name} ${pid}`)
    .sort()

async function isWell(port: number): Promise<boolean> {
  const answer = await fetch(`http://127.0.0.1:${port}/v1/healthz`).catch(() => undefined)
  return answer?.status === 200
}

const childName = (role: string) => (role === 'central-web' ? 'web-central' : role)

/** Which roles, `name` aside, do not answer at all; what they say of their own health is theirs. */
async function silentBeside({ ports }: Up, name: string): Promise<string[]> {
  const others = roles.filter((role) => childName(role) !== name)
  const answers = await Promise.all(
    others.map((role) =>
      fetch(`http://127.0.0.1:${ports[role]}/v1/healthz`).then(
        () => true,
        () => false,
      ),
    ),
  )
  return others.filter((_, i) => !answers[i])
}

const allWell = async ({ ports }: Up) =>
  (await Promise.all(Object.values(ports).map(isWell))).every(Boolean)

/** Everything that `up` started: its children, and the server with its backends. */
function leftOf(dir: string, children: Child[]): number[] {
  return [
    ...children.filter(isRunning).map(({ pid }) => pid),
    ...findProcesses(join(dir, 'postgres')),
  ]
}

/** What the processes are, and the logs of those that had to end them. */
const tellOf = (dir: string, pids: readonly number[]) =>
  [
    ...pids.map((pid) => `/proc/${pid}/cmdline`),
    ...['up', 'embedded-postgres'].map((name) => join(dir, 'logs', `${name}.log`)),
  ]
    .map((file) => (existsSync(file) ? `${file}: ${readFileSync(file, 'utf8').slice(-4000)}` : ''))
    .join('\n')

/** Sends a finished job to the sidecar. */
async function sendJob(up: Up): Promise<string> {
  const id = randomUUID()
  const event = {
    idempotency_key: randomUUID(),
    site_id: 'fab1',
    app: { app_id: randomUUID(), name: 'litho-apc', version: '1' },
    entity: { type: 'job', id, business_key: 'L26N4402.1' },
    event: { kind: 'finished', at: new Date().toISOString(), metrics: { duration_s: 1.5 } },
  }
  const answer = await fetch(`http://127.0.0.1:${up.ports.sidecar}/v1/ingest/events`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: tokenOf(up) },
    body: JSON.stringify(event),
  })
  assert.equal(answer.status, 200, await answer.text())
  return id
}

const hasJob = async (up: Up, id: string) => {
  const url = `http://127.0.0.1:${up.ports['local-api']}/v1/jobs/${id}`
  const headers = { authorization: tokenOf(up) }
  return (await fetch(url, { headers }).catch(() => undefined))?.status === 200
}

type OpenApi = { paths: Record<string, Record<string, object>> }

/** What a browser says of a request that a page of another origin makes. */
const ofOtherPages = [
  { 'sec-fetch-site': 'cross-site' },
  { 'sec-fetch-site': 'same-site' },
  { origin: 'http://evil.example' },
  { origin: 'null' },
]

describe('wafermon up', () => {
  let up: Up
  before(async () => {
    up = await startUp(freshFolder(), await choosePorts())
  })
  after(async () => {
    await up.stop()
  })

  test('prints its addresses in seven lines, the dashboard first', () => {
    const lines = up
      .logs()
      .split('\n')
      .filter((line) => line.startsWith('  '))
    assert.equal(lines.length, 7, up.logs())
    assert.match(
      lines[0] ?? '',
      new RegExp(`dashboard +http://127.0.0.1:${up.ports.web}/sign-in\\?once=`),
    )
  })

  test('lets a browser in by each link it prints, once, and nobody without', async () => {
    const links = [...up.logs().matchAll(/http:\S+\?once=\S+/g)].map(([link]) => link)
    assert.equal(links.length, 2, up.logs())
    for (const link of links) {
      const open = (url: string, cookie = '') =>
        fetch(url, { redirect: 'manual', headers: { accept: 'text/html', cookie } })
      const jobs = new URL('/jobs', link).href
      assert.equal((await open(jobs)).status, 303, 'to the sign-in page')
      const entered = await open(link)
      assert.deepEqual([entered.status, entered.headers.get('location')], [303, '/'])
      const [cookie = ''] = (entered.headers.get('set-cookie') ?? '').split(';')
      const page = await open(jobs, cookie)
      assert.equal(page.status, 200)
      assert.match(await page.text(), /<title>Jobs/)
      const again = await open(link)
      assert.equal(again.status, 401)
      assert.match(await again.text(), /This link was used/)
    }
  })

  test('asks for a token at every role', async () => {
    const post = { method: 'POST', headers: { 'content-type': 'application/json' }, body: '[]' }
    const at = (role: (typeof roles)[number]) => `http://127.0.0.1:${up.ports[role]}`
    const doors: [string, object?][] = [
      [`${at('sidecar')}/v1/ingest/events:batch`, post],
      [`${at('local-api')}/v1/ingest/events:batch`, post],
      [`${at('local-api')}/v1/jobs`],
      [`${at('central')}/v1/jobs`],
      [`${at('web')}/jobs`],
      [`${at('central-web')}/jobs`],
    ]
    for (const [url, how = {}] of doors) assert.equal((await fetch(url, how)).status, 401, url)
  })

  test('lets no page of another origin change anything, at any role', async () => {
    const changed: string[] = []
    for (const role of roles) {
      const own = `http://127.0.0.1:${up.ports[role]}`
      const { paths } = (await (await fetch(`${own}/openapi.json`)).json()) as OpenApi
      for (const [path, methods] of Object.entries(paths)) {
        for (const method of Object.keys(methods).filter((name) => name !== 'get')) {
          changed.push(`${role} ${method} ${path}`)
          const send = (headers: Record<string, string>) =>
            fetch(own + path.replace('{id}', '1'), { method: method.toUpperCase(), headers })
          for (const headers of ofOtherPages) {
            const answer = await send(headers)
            assert.equal(answer.status, 403, `${changed.at(-1)} ${JSON.stringify(headers)}`)
            assert.equal(((await answer.json()) as { field: string }).field, 'origin')
          }
          // What remains is the token.
          for (const headers of [{}, { origin: own }, { 'sec-fetch-site': 'same-origin' }]) {
            assert.equal((await send(headers)).status, 401, changed.at(-1))
          }
        }
      }
    }
    const ingest = ['events', 'events:batch'].map((name) => `post /v1/ingest/${name}`)
    assert.deepEqual(changed, [
      ...[
        ...ingest,
        'post /v1/rejects/{id}/retry',
        'post /v1/rejects/{id}/drop',
        'post /v1/spool/sinks/{id}/forget',
        'post /v1/spool/sinks/{id}/pause',
        'post /v1/spool/sinks/{id}/resume',
        'post /v1/spool/sinks/{id}/skip',
      ].map((route) => `sidecar ${route}`),
      ...[
        ...ingest,
        'post /v1/ingest/heartbeat',
        'post /v1/sources/{id}/accept',
        'post /v1/jobs/{id}/close',
      ].map((route) => `local-api ${route}`),
    ])
  })

  test('keeps everything in its folder from other users, and says what it does not use', () => {
    const open = readdirSync(up.dir, { recursive: true, encoding: 'utf8' })
      .filter((name) => !/^(postgres-|run)/.test(name))
      .filter((name) => (lstatSync(join(up.dir, name)).mode & 0o077) !== 0)
      .filter((name) => !lstatSync(join(up.dir, name)).isSymbolicLink())
    assert.deepEqual(open, [])
    assert.equal(statSync(up.dir).mode & 0o066, 0)
    assert.match(up.logs(), /have no effect under `up`, settings \["HOST"\]/)
  })

  test('gives no name to a file that has no test of a full disk', () => {
    const names = readdirSync(up.dir, { recursive: true, encoding: 'utf8' })
    assert.ok(names.length > 100 && names.includes('spool/spool.db'))
    assert.deepEqual(findUnknown(names), [])
  })

  test('runs every role in a process of its own', async () => {
    await until('all roles to be well', () => allWell(up))
    const names = childrenOf(up.dir).map(({ name }) => name)
    const expected = ['embedded-postgres', ...roles.map(childName)]
    assert.deepEqual(names.sort(), expected.sort())
    assert.equal(new Set(childrenOf(up.dir).map(({ pid }) => pid)).size, 7)
  })

  test('carries an event from the sidecar to the local API', async () => {
    const id = await sendJob(up)
    await until('the job', () => hasJob(up, id))
  })

  test('refuses to start twice in one folder, naming the process', async () => {
    const second = launch(upFlags(up.dir, up.ports), {})
    assert.equal((await second.ended).code, 1)
    assert.match(second.logs(), new RegExp(`already running in ${up.dir}, as process ${up.pid}`))
  })

  test('names a folder that it cannot write to, and the flag for another', async () => {
    const file = join(freshFolder(), 'file')
    writeFileSync(file, '')
    for (const dir of [file, join(file, 'deeper')]) {
      const second = launch(upFlags(dir, up.ports), {})
      assert.equal((await second.ended).code, 1)
      const words =
        dir === file ? `--dir: ${dir} is not a folder.*` : `cannot write to ${dir} .*--dir`
      assert.match(second.logs(), new RegExp(`^wafermon: ${words}\n$`))
    }
  })

  test('names every busy port with its flag, and starts nothing', async () => {
    const dir = freshFolder()
    const second = launch(upFlags(dir, up.ports), {})
    assert.equal((await second.ended).code, 1)
    for (const role of roles) {
      assert.match(second.logs(), new RegExp(`port ${up.ports[role]} .*--${role}-port`))
    }
    assert.equal(existsSync(join(dir, 'postgres')), false)
  })

  for (const name of fewer(
    ['local-api', 'archiver', 'central', 'sidecar', 'web', 'web-central'],
    3,
  )) {
    test(`starts ${name} again when it was killed, while the others answer`, async () => {
      const killed = pidOf(up.dir, name)
      assert.ok(killed)
      const others = othersOf(up.dir, name)
      process.kill(killed, 'SIGKILL')
      assert.deepEqual(await silentBeside(up, name), [])
      const during = name === 'sidecar' ? undefined : await sendJob(up)
      const again = await until(`${name} to be started`, () => {
        const pid = pidOf(up.dir, name)
        return pid !== killed && pid
      })
      assert.ok(again)
      await until('all roles to be well', () => allWell(up))
      assert.match(up.logs(), new RegExp(`restarting it, role "${name}", how "SIGKILL"`))
      const id = await sendJob(up)
      await until('a job sent afterwards', () => hasJob(up, id))
      if (during) await until('a job sent meanwhile', () => hasJob(up, during))
      assert.deepEqual(othersOf(up.dir, name), others, 'the others are the same processes still')
    })
  }

  test('starts the database again when it was killed, and loses nothing', async () => {
    const before = await sendJob(up)
    await until('the job before', () => hasJob(up, before))
    const [killed] = readFileSync(join(up.dir, 'postgres/postmaster.pid'), 'utf8').split('\n')
    process.kill(Number(killed), 'SIGKILL')
    assert.deepEqual(await silentBeside(up, 'embedded-postgres'), [])
    const during = await sendJob(up)
    await until('the job sent while it was away', () => hasJob(up, during))
    assert.equal(await hasJob(up, before), true)
  })

  test('stops everything and leaves nothing running', async () => {
    const children = childrenOf(up.dir)
    assert.deepEqual(await up.stop(), { code: 0, signal: null })
    assert.deepEqual(leftOf(up.dir, children), [])
    assert.equal(lstatSync(join(up.dir, 'up.lock'), { throwIfNoEntry: false }), undefined)
  })
})

describe('wafermon up, when it goes down hard', () => {
  test('leaves nothing running when it is killed, and starts again', async (t) => {
    const first = await startUp(freshFolder(), await choosePorts())
    const id = await sendJob(first)
    await until('the job', () => hasJob(first, id))
    const children = childrenOf(first.dir)
    await first.kill9()
    await until('all its processes to end', () => leftOf(first.dir, children).length === 0)
    const second = await startUp(first.dir, first.ports)
    t.after(second.stop)
    await until('the job of before', () => hasJob(second, id))
  })

  test('takes over immediately after a kill of all its processes', async (t) => {
    const first = await startUp(freshFolder(), await choosePorts())
    const children = childrenOf(first.dir)
    for (const pid of [first.pid, ...children.map((child) => child.pid)]) {
      process.kill(pid, 'SIGKILL')
    }
    await first.ended
    const second = await startUp(first.dir, first.ports)
    t.after(second.stop)
    await until('all roles to be well', () => allWell(second))
  })

  test('leaves nothing running when it is asked to stop while it starts, whatever it is at', async (t) => {
    const [dir, ports] = [freshFolder(), await choosePorts()]
    const runs = (name: string) => () => {
      const there = existsSync(join(dir, 'up.children')) ? childrenOf(dir) : []
      return there.some((child) => child.name === name && isRunning(child))
    }
    const steps: [string, () => boolean][] = [
      ['its lock', () => true],
      ['the programs of the database', runs('embedded-postgres')],
      ['the database', () => existsSync(join(dir, 'postgres/postmaster.pid'))],
      ['its roles', runs('sidecar')],
    ]
    for (const [name, isThere] of steps) {
      const up = launch([...upFlags(dir, ports), '--no-simulate'], {})
      t.after(() => up.kill9())
      const holdsLock = () => holderOf(dir).startsWith(`${up.pid}@`)
      await until(name, () => holdsLock() && isThere())
      up.child.kill('SIGTERM')
      const { code, signal } = await up.ended
      assert.deepEqual([code, signal], [0, null], `${name}: ${up.logs()}`)
      const left = findProcesses(join(dir, 'postgres'))
      assert.deepEqual(left, [], left.length > 0 ? `${name}: ${tellOf(dir, left)}` : name)
      const running = existsSync(join(dir, 'up.children')) ? childrenOf(dir).filter(isRunning) : []
      assert.deepEqual(running, [], name)
      assert.equal(lstatSync(join(dir, 'up.lock'), { throwIfNoEntry: false }), undefined, name)
    }
    const up = await startUp(dir, ports)
    t.after(up.stop)
    await until('all roles to be well', () => allWell(up))
  })

  test('ends immediately on a second signal, a hanging role included', async () => {
    const up = await startUp(freshFolder(), await choosePorts())
    const children = childrenOf(up.dir)
    const hanging = pidOf(up.dir, 'sidecar')
    assert.ok(hanging)
    process.kill(hanging, 'SIGSTOP')
    up.child.kill('SIGTERM')
    const logged = () => readFileSync(join(up.dir, 'logs/up.log'), 'utf8').includes('"stopping"')
    await until('it to begin stopping', logged)
    up.child.kill('SIGINT')
    assert.equal((await up.ended).code, 130)
    await until('all its processes to end', () => leftOf(up.dir, children).length === 0)
  })
})
