import assert from 'node:assert/strict'
import { once } from 'node:events'
import {
  chmodSync,
  chownSync,
  existsSync,
  lchownSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { type AddressInfo, createServer } from 'node:net'
import { join } from 'node:path'
import { describe, type TestContext, test } from 'node:test'
import { freshFolder, launch } from '../support/processes.ts'
import { hasStrace, straceMissing } from '../support/strace.ts'

/*
 * `up` as root in a folder that another user can change: links in it lead where that user wants root to
 * write. It has to refuse before it writes anything.
 */

const other = 12_345
const skip = process.getuid?.() !== 0 ? 'needs root' : hasStrace ? false : straceMissing

/** What root would write to if it followed the links. */
const written = [
  'up.lock',
  'up.token',
  'up.tokens',
  'up.children',
  'postgres.lock',
  'postgres.password',
]

/** A file that only root may read, and a folder with one; and links to them, made by another user. */
function trap(above: string, dir: string) {
  const victims = join(above, 'of-root')
  mkdirSync(victims, { mode: 0o700 })
  writeFileSync(join(victims, 'secret'), 'mine\n', { mode: 0o600 })
  mkdirSync(dir)
  const links: [string, string][] = [
    ...written.map((name): [string, string] => [name, join(victims, 'secret')]),
    ...['logs', 'spool', 'archive', 'postgres', 'run'].map((name): [string, string] => [
      name,
      victims,
    ]),
  ]
  for (const [name, to] of links) {
    symlinkSync(to, join(dir, name))
    lchownSync(join(dir, name), other, other)
  }
}

/** Everything below a folder: names, owners, permissions, times, contents. */
function stateOf(dir: string): unknown[] {
  return readdirSync(dir, { recursive: true, encoding: 'utf8' })
    .sort()
    .map((name) => {
      const path = join(dir, name)
      const { uid, mode, mtimeMs, ctimeMs } = lstatSync(path)
      const stats = lstatSync(path)
      const content = stats.isSymbolicLink()
        ? readlinkSync(path)
        : stats.isFile() && readFileSync(path, 'utf8')
      return [name, uid, mode, mtimeMs, ctimeMs, content]
    })
}

/** Calls by which a process changes something under a path. */
const changing =
  'trace=mkdir,mkdirat,symlink,symlinkat,link,linkat,rename,renameat,renameat2,unlink,unlinkat,rmdir,' +
  'chmod,fchmod,fchmodat,chown,fchown,fchownat,lchown,truncate,ftruncate,open,openat,creat,utimensat'
const isChange = (call: string) =>
  !/\bopen(at)?\(/.test(call) || /O_WRONLY|O_RDWR|O_CREAT|O_TRUNC/.test(call)

async function runUp(t: TestContext, dir: string, above: string, more: string[] = []) {
  const trace = join(freshFolder(), 'trace')
  const strace = ['strace', '-f', '-qq', '-s', '500', '-o', trace, '-e', changing]
  const up = launch(['up', '--dir', dir, '--no-simulate', ...more], {}, strace)
  t.after(() => up.kill9())
  const { code } = await up.ended
  const calls = readFileSync(trace, 'utf8').split('\n')
  return {
    code,
    err: up.err(),
    changes: calls.filter((call) => call.includes(above) && isChange(call)),
  }
}

describe('wafermon up as root', { skip }, () => {
  const ways: [string, (above: string) => string, RegExp][] = [
    [
      'in a folder of another user',
      (above) => {
        const dir = join(above, 'state')
        trap(above, dir)
        chownSync(dir, other, other)
        return dir
      },
      /state is a folder that belongs to another user \(id 12345\)/,
    ],
    [
      'in a folder of its own below one of another user',
      (above) => {
        const theirs = join(above, 'home')
        mkdirSync(theirs)
        trap(above, join(theirs, 'state'))
        chownSync(theirs, other, other)
        return join(theirs, 'state')
      },
      /home is a folder that belongs to another user/,
    ],
    [
      'in a folder that is not there yet, below one of another user',
      (above) => {
        const theirs = join(above, 'home')
        mkdirSync(theirs)
        chownSync(theirs, other, other)
        return join(theirs, 'deeper/state')
      },
      /home is a folder that belongs to another user/,
    ],
    [
      'behind a link of another user',
      (above) => {
        trap(above, join(above, 'real'))
        symlinkSync('real', join(above, 'state'))
        lchownSync(join(above, 'state'), other, other)
        return join(above, 'state')
      },
      /state is a link that belongs to another user/,
    ],
    [
      'in a folder of its own in which another user once left links',
      (above) => {
        const dir = join(above, 'state')
        trap(above, dir)
        chmodSync(dir, 0o775)
        return dir
      },
      /state\/\S+ is a link that belongs to another user/,
    ],
  ]
  for (const [name, make, words] of ways) {
    test(`refuses before it writes anything ${name}`, async (t) => {
      const above = join(freshFolder(), 'above')
      mkdirSync(above)
      const dir = make(above)
      const before = stateOf(above)
      const { code, err, changes } = await runUp(t, dir, above)
      assert.equal(code, 1, err)
      assert.match(err, words)
      assert.match(err, /with --dir\n$/)
      assert.deepEqual(changes, [], 'not even for a moment')
      assert.deepEqual(stateOf(above), before)
    })
  }

  test('writes where nobody else can put links, which the same look sees', async (t) => {
    const above = join(freshFolder(), 'above')
    mkdirSync(above)
    const dir = join(above, 'state')
    const taken = createServer().listen(0, '127.0.0.1')
    t.after(() => taken.close())
    await once(taken, 'listening')
    // Which ends it, soon after its first files.
    const { port } = taken.address() as AddressInfo
    const { err, changes } = await runUp(t, dir, above, ['--sidecar-port', String(port)])
    assert.match(err, /--sidecar-port/)
    assert.ok(
      changes.some((call) => call.includes('up.lock')),
      'the trace sees what is written',
    )
    assert.ok(existsSync(join(dir, 'logs')))
  })
})
