import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  readFileSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { pino } from 'pino'
import { findProcesses } from '../../src/embedded-postgres/leftovers.ts'
import { type Embedded, startEmbedded } from '../../src/embedded-postgres/server.ts'
import { connect } from '../../src/store/connect.ts'
import { freshFolder, until } from '../support/processes.ts'
import { longTest } from '../support/short-form.ts'

const log = pino({ level: 'silent' })
const isRoot = process.getuid?.() === 0
const op = { operation: 'test', table: 'none' }

/** One statement on a connection of its own. */
async function ask(url: string, statement: string): Promise<Record<string, unknown>[]> {
  const store = connect(url, { role: 'test', max: 1 })
  try {
    return [...(await store.ask(op, (sql) => sql.unsafe(statement)))]
  } finally {
    await store.close()
  }
}

type After = { after(work: () => Promise<void>): void }

async function start(t: After, dir: string): Promise<Embedded> {
  const server = await startEmbedded({ dir, log })
  t.after(server.stop)
  return server
}

/** A server whose parent is another process, to be killed with it or instead of it. */
async function startElsewhere(
  t: After,
  dir: string,
): Promise<{ parent: ChildProcess; url: string }> {
  const program = fileURLToPath(new URL('../support/hold-server.ts', import.meta.url))
  const parent = spawn(process.execPath, [program, dir], {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  })
  t.after(async () => {
    parent.kill('SIGKILL')
  })
  const [{ url }] = (await once(parent, 'message')) as [{ url: string }]
  return { parent, url }
}

async function killNow(child: ChildProcess): Promise<void> {
  const gone = once(child, 'exit')
  child.kill('SIGKILL')
  await gone
}

const serverPid = (dir: string) =>
  Number(readFileSync(join(dir, 'postgres/postmaster.pid'), 'utf8').split('\n')[0])

describe('startEmbedded', () => {
  test('makes a database that is durable, in UTF-8, and on no port', async (t) => {
    const { url } = await start(t, freshFolder())
    const names = ['fsync', 'full_page_writes', 'synchronous_commit', 'server_encoding', 'jit']
    const columns = [...names, 'listen_addresses', 'max_connections', 'data_checksums']
    const shown = await ask(
      url,
      `select ${columns.map((name) => `current_setting('${name}') as ${name}`)}`,
    )
    const expected = ['on', 'on', 'on', 'UTF8', 'off', '', '60', 'on']
    assert.deepEqual(Object.values(shown[0] ?? {}), expected)
  })

  test('keeps what was committed over a stop and a start', async (t) => {
    const dir = freshFolder()
    const first = await startEmbedded({ dir, log })
    await ask(first.url, 'create table kept as select 7 as n')
    await first.stop()
    assert.deepEqual((await first.ended).wanted, true)
    assert.deepEqual(findProcesses(first.dataDir), [])
    const second = await start(t, dir)
    assert.deepEqual(await ask(second.url, 'select n from kept'), [{ n: 7 }])
  })

  test('refuses a folder whose database runs already, naming the process', async (t) => {
    const dir = freshFolder()
    await start(t, dir)
    await assert.rejects(startEmbedded({ dir, log }), {
      code: 'conflict',
      message: `process ${process.pid} already runs the database in ${dir}`,
    })
  })

  test('takes over when its parent was killed and it lives on', async (t) => {
    const dir = freshFolder()
    const { parent, url } = await startElsewhere(t, dir)
    await ask(url, 'create table kept as select 7 as n')
    const left = serverPid(dir)
    await killNow(parent)
    const server = await start(t, dir)
    assert.notEqual(server.pid, left)
    assert.deepEqual(await ask(server.url, 'select n from kept'), [{ n: 7 }])
  })

  test('starts when the server was killed and a busy backend still holds its memory', async (t) => {
    const dir = freshFolder()
    const { parent, url } = await startElsewhere(t, dir)
    await ask(url, 'create table kept as select 7 as n')
    // A backend in the middle of computing does not look whether its server is still there.
    const busy = ask(url, 'select count(*) from generate_series(1, 1e12::bigint)').catch(() => {})
    const counting = `select 1 as n from pg_stat_activity where query like 'select count%'`
    await until('a busy backend', async () => (await ask(url, counting)).length > 0)
    process.kill(serverPid(dir), 'SIGKILL')
    await killNow(parent)
    const server = await start(t, dir)
    assert.deepEqual(await ask(server.url, 'select n from kept'), [{ n: 7 }])
    await busy
  })

  longTest('starts when postmaster.pid names a process that is another one by now', async (t) => {
    const dir = freshFolder()
    const first = await startEmbedded({ dir, log })
    await first.stop()
    // Of the same user as the server, as after a restart of a container.
    const as = isRoot ? { uid: statSync(first.dataDir).uid } : {}
    const stranger = spawn('sleep', ['600'], { ...as, stdio: 'ignore' })
    t.after(() => void stranger.kill('SIGKILL'))
    const lines = [stranger.pid, first.dataDir, 1, 5432, '', '*', '  1  1', 'ready']
    writeFileSync(join(first.dataDir, 'postmaster.pid'), lines.join('\n'))
    await start(t, dir)
    assert.equal(stranger.exitCode ?? stranger.signalCode, null)
  })

  test('begins again when the first start was cut short', async (t) => {
    const dir = freshFolder()
    mkdirSync(join(dir, 'postgres.new/base'), { recursive: true })
    mkdirSync(join(dir, 'postgres-18.4.0-beta.17.partial-1/bin'), { recursive: true })
    const server = await start(t, dir)
    assert.deepEqual(await ask(server.url, 'select 1 as n'), [{ n: 1 }])
    assert.equal(existsSync(join(dir, 'postgres.new')), false)
  })

  longTest(
    'puts its socket elsewhere when the path of the folder is too long for one',
    async (t) => {
      const parent = freshFolder()
      chmodSync(parent, 0o711)
      const dir = join(parent, 'x'.repeat(110))
      const first = await startEmbedded({ dir, log })
      assert.deepEqual(await ask(first.url, 'select 1 as n'), [{ n: 1 }])
      await first.stop()
      const socket = readFileSync(join(dir, 'postgres.socket'), 'utf8')
      assert.equal(existsSync(socket), false, 'nothing is left outside the folder')
      const second = await start(t, dir)
      assert.equal(second.url, first.url, 'its clients were told the address')
    },
  )

  longTest('ignores the locale and the PostgreSQL settings of the caller', async (t) => {
    const set = { LC_ALL: 'xx_XX.bogus', PGPORT: '1', PGDATA: '/nowhere', LANG: 'C' }
    const before = { ...process.env }
    Object.assign(process.env, set)
    t.after(() => {
      process.env = before
    })
    const server = await start(t, freshFolder())
    const shown = await ask(server.url, `select current_setting('server_encoding') as encoding`)
    assert.deepEqual(shown, [{ encoding: 'UTF8' }])
  })

  const asRoot = {
    skip: isRoot ? false : 'only root meets folders that its own server may not enter',
  }
  longTest(
    'names the folder above and the remedy when its user may not enter',
    asRoot,
    async () => {
      const closed = freshFolder()
      writeFileSync(join(closed, 'letter'), 'of another user')
      chmodSync(closed, 0o700)
      await assert.rejects(startEmbedded({ dir: join(closed, 'state'), log }), (error: Error) => {
        assert.match(error.message, new RegExp(`may not enter ${closed} \\(mode 0700\\)`))
        assert.match(error.message, new RegExp(`chmod o\\+x ${closed}.*--dir /var/lib/wafermon`))
        return true
      })
    },
  )

  longTest('opens a closed folder of its own for its user', asRoot, async (t) => {
    const dir = freshFolder()
    chmodSync(dir, 0o700)
    const server = await start(t, dir)
    assert.deepEqual(await ask(server.url, 'select 1 as n'), [{ n: 1 }])
  })

  test('says so when the server ends unasked', async (t) => {
    const server = await start(t, freshFolder())
    process.kill(server.pid, 'SIGKILL')
    const { wanted, reason } = await server.ended
    assert.equal(wanted, false)
    assert.match(reason, /SIGKILL/)
  })

  test('says what to do for a user without a name', asRoot, async () => {
    const dir = freshFolder()
    // Root takes the owner of the data folder, here one that /etc/passwd does not have.
    mkdirSync(join(dir, 'postgres'))
    chownSync(join(dir, 'postgres'), 54_321, 54_321)
    await assert.rejects(startEmbedded({ dir, log }), {
      code: 'forbidden',
      message: /a user without a name \(id 54321\): start wafermon as root or as a user that is in/,
    })
  })
})
