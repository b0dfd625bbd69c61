import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { chmodSync, mkdirSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, describe, test } from 'node:test'
import { pino } from 'pino'
import { createCluster } from '../../src/embedded-postgres/cluster.ts'
import { findProcesses } from '../../src/embedded-postgres/leftovers.ts'
import { lockFolder, makeFolder } from '../../src/roles/up/folder.ts'
import { openTokens } from '../../src/roles/up/tokens.ts'
import { freshFolder, launch, until } from '../support/processes.ts'
import { choosePorts, upFlags } from '../support/up.ts'

/* Folders that `up` cannot use, or that it must not change. */

const log = pino({ level: 'silent' })
const up = async (dir: string) =>
  launch([...upFlags(dir, await choosePorts()), '--no-simulate'], {})

describe('wafermon up ends at once, with the reason and code 1, in', { concurrency: 2 }, () => {
  const base = freshFolder()
  const at = (name: string) => join(base, name)
  writeFileSync(at('file'), 'text', { mode: 0o644 })
  execFileSync('sh', ['-c', 'mkfifo -m 644 "$0"', at('pipe')])
  symlinkSync(at('loop'), at('loop'))
  symlinkSync(at('nowhere'), at('dangling'))
  const unusable: [string, RegExp][] = [
    ['/proc/foo', /cannot write to \/proc\/foo \(ENOENT\)/],
    ['/proc/self/foo/bar', /cannot write to .*\(ENOENT\)/],
    ['/sys/foo', /cannot write to \/sys\/foo \(E\w+\)/],
    ['/dev/null/foo', /cannot write to .*\(ENOTDIR\)/],
    [at('file'), /file is not a folder/],
    [at('file/deeper'), /cannot write to .*\(ENOTDIR\)/],
    [at('pipe'), /pipe is not a folder/],
    [at('loop'), /cannot write to .*\(E\w+\)/],
    [at('dangling'), /cannot write to .*\(E\w+\)/],
    [at('x'.repeat(300)), /cannot write to .*\(ENAMETOOLONG\)/],
  ]
  for (const [dir, reason] of unusable) {
    test(dir.replace(base, '').slice(0, 40), async () => {
      const run = await up(dir)
      assert.deepEqual(await run.ended, { code: 1, signal: null }, run.logs())
      assert.match(run.err(), new RegExp(`^wafermon: .*${reason.source}`))
    })
  }
  after(() => {
    for (const name of ['file', 'pipe']) assert.equal(statSync(at(name)).mode & 0o777, 0o644, name)
  })
})

describe('wafermon up names what is in the way of', () => {
  const folderIn = (name: string) => {
    const dir = freshFolder()
    mkdirSync(join(dir, name))
    return dir
  }
  const fileIn = (name: string) => {
    const dir = freshFolder()
    writeFileSync(join(dir, name), '')
    return dir
  }
  const user = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 }
  const cluster = (dir: string) =>
    createCluster({ dir, dataDir: join(dir, 'postgres'), binaries: dir, user, log } as never)
  const inTheWay: [string, () => unknown, RegExp][] = [
    ['logs', () => makeFolder(fileIn('logs')), /logs is not a folder: move it away/],
    ['up.lock', () => lockFolder(folderIn('up.lock')), /up\.lock is a folder.*remove/],
    [
      'up.token',
      () => openTokens(folderIn('up.token'), undefined, log),
      /up\.token .*a folder is in its place, remove it/,
    ],
    [
      'up.tokens',
      () => openTokens(folderIn('up.tokens'), undefined, log),
      /up\.tokens .*a folder is in its place, remove it/,
    ],
    [
      'postgres, a file',
      () => cluster(fileIn('postgres')),
      /postgres is in the place of the database, and is none/,
    ],
    [
      'TOKENS_FILE',
      () => openTokens(freshFolder(), freshFolder(), log),
      /TOKENS_FILE: .* is a folder; name a file in it/,
    ],
  ]
  for (const [what, start, words] of inTheWay) {
    test(what, () => assert.rejects(async () => start(), words))
  }

  test('postgres, something else', async () => {
    const dir = folderIn('postgres')
    writeFileSync(join(dir, 'postgres/notes'), '')
    await assert.rejects(cluster(dir), /postgres is in the place of the database, and is none/)
  })

  test('its own folder, when that is open and holds something else, which stays as it is', () => {
    const dir = fileIn('passwd')
    chmodSync(join(dir, 'passwd'), 0o644)
    chmodSync(dir, 0o777)
    assert.throws(
      () => makeFolder(dir),
      /holds more than our files \(passwd\).* or run `chmod 755 /,
    )
    chmodSync(dir, 0o755)
    makeFolder(dir)
    assert.equal(statSync(join(dir, 'passwd')).mode & 0o777, 0o644)
  })
})

describe('wafermon up, asked to stop while it starts', () => {
  const moments: [string, (run: Awaited<ReturnType<typeof up>>, dir: string) => unknown][] = [
    [
      'as soon as there is a folder',
      (_, dir) => statSync(join(dir, 'up.token'), { throwIfNoEntry: false }),
    ],
    [
      'while the database is made',
      (_, dir) => statSync(join(dir, 'postgres.new'), { throwIfNoEntry: false }),
    ],
    [
      'while the tables are made',
      (_, dir) => statSync(join(dir, 'postgres/postmaster.pid'), { throwIfNoEntry: false }),
    ],
    [
      'while the roles start',
      (_, dir) => statSync(join(dir, 'logs/web.log'), { throwIfNoEntry: false }),
    ],
  ]
  for (const [when, reached] of moments) {
    test(`ends with code 0, ${when}, and leaves nothing running`, async (t) => {
      const dir = freshFolder()
      const run = await up(dir)
      t.after(run.kill9)
      await until(when, () => Boolean(reached(run, dir)), 60_000)
      run.child.kill('SIGTERM')
      assert.deepEqual(await run.ended, { code: 0, signal: null }, run.logs())
      for (const name of ['postgres', 'postgres.new']) {
        assert.deepEqual(findProcesses(join(dir, name)), [])
      }
    })
  }
})
