import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import fs, {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { isRunning, LockHeld, readStart, takeLock } from '../../src/platform/lock-file.ts'
import { freshFolder } from '../support/processes.ts'

describe('takeLock', () => {
  test('refuses while the holder runs, naming it', () => {
    const path = join(freshFolder(), 'lock')
    takeLock(path)
    assert.throws(
      () => takeLock(path),
      (error) => error instanceof LockHeld && error.pid === process.pid,
    )
  })

  test('can be taken again once it was given back, and leaves no other file', () => {
    const folder = freshFolder()
    takeLock(join(folder, 'lock')).release()
    const { takenOver, release } = takeLock(join(folder, 'lock'))
    assert.equal(takenOver, false)
    assert.deepEqual(readdirSync(folder), ['lock'])
    release()
    assert.deepEqual(readdirSync(folder), [])
  })

  test('takes over from a process that was killed', async () => {
    const path = join(freshFolder(), 'lock')
    const child = spawn('sleep', ['600'])
    const holder = { pid: child.pid, started: readStart(child.pid ?? 0) }
    writeFileSync(path, JSON.stringify(holder))
    assert.throws(() => takeLock(path), LockHeld)
    const gone = once(child, 'exit')
    child.kill('SIGKILL')
    await gone
    assert.equal(takeLock(path).takenOver, true)
  })

  test('takes over when the number is another process by now', () => {
    const path = join(freshFolder(), 'lock')
    writeFileSync(path, JSON.stringify({ pid: process.pid, started: 'another-boot/1' }))
    assert.equal(takeLock(path).takenOver, true)
  })

  test('takes over a file that a power cut has torn', () => {
    const path = join(freshFolder(), 'lock')
    writeFileSync(path, '{"pid": 1')
    assert.equal(takeLock(path).takenOver, true)
    assert.throws(() => takeLock(path), LockHeld)
  })

  for (const content of ['{}', '[]', 'null', '{"pid":"x","started":"y"}', '{"pid":-1}', '']) {
    test(`takes over a file with ${content || 'nothing'} in it, which names no process`, () => {
      const path = join(freshFolder(), 'up.lock')
      writeFileSync(path, content)
      assert.equal(takeLock(path).takenOver, true)
    })
  }

  test('names a folder in its place, and leaves it alone', () => {
    const path = join(freshFolder(), 'up.lock')
    mkdirSync(join(path, 'deeper'), { recursive: true })
    assert.throws(() => takeLock(path), /up\.lock is a folder.*remove/)
    assert.ok(existsSync(join(path, 'deeper')))
  })

  test('ends in words where what is there cannot be moved, as in /tmp that of another user', (t) => {
    const path = join(freshFolder(), 'up.lock')
    writeFileSync(path, '{}')
    t.mock.method(fs, 'renameSync', () => {
      throw Object.assign(new Error('EPERM: operation not permitted'), { code: 'EPERM' })
    })
    syncBuiltinESMExports()
    t.after(() => {
      t.mock.restoreAll()
      syncBuiltinESMExports()
    })
    assert.throws(() => takeLock(path), {
      code: 'conflict',
      message: /cannot move the lock of a process that has ended, .*up\.lock \(EPERM\): remove it/,
    })
  })

  test('does not follow a link that was put in its place', () => {
    const folder = freshFolder()
    writeFileSync(join(folder, 'secret'), 'mine')
    symlinkSync(join(folder, 'secret'), join(folder, 'up.lock'))
    assert.equal(takeLock(join(folder, 'up.lock')).takenOver, true)
    assert.equal(readFileSync(join(folder, 'secret'), 'utf8'), 'mine')
  })

  test('gives back only what is its own', () => {
    const path = join(freshFolder(), 'lock')
    const { release } = takeLock(path)
    rmSync(path)
    symlinkSync('1@another', path)
    release()
    assert.equal(readlinkSync(path), '1@another')
  })

  test('goes to exactly one of many processes that want it at the same time', async () => {
    const path = join(freshFolder(), 'lock')
    writeFileSync(path, JSON.stringify({ pid: 1, started: 'another-boot/1' }))
    const module = JSON.stringify(new URL('../../src/platform/lock-file.ts', import.meta.url).href)
    const program = `import(${module}).then(({ takeLock }) => { takeLock(${JSON.stringify(path)}); console.log('mine'); setInterval(() => {}, 1e6) }).catch(() => console.log('refused'))`
    const children = Array.from({ length: 6 }, () => spawn(process.execPath, ['-e', program]))
    const answers = await Promise.all(
      children.map(async (child) => String((await once(child.stdout, 'data'))[0]).trim()),
    )
    for (const child of children) child.kill('SIGKILL')
    assert.deepEqual(answers.sort(), ['mine', ...Array(5).fill('refused')])
  })
})

describe('isRunning', () => {
  test('tells a process from one that had its number before', () => {
    const started = readStart(process.pid) ?? ''
    assert.equal(isRunning({ pid: process.pid, started }), true)
    assert.equal(isRunning({ pid: process.pid, started: `${started}0` }), false)
    assert.equal(isRunning({ pid: 2 ** 22 + 1, started }), false)
  })
})
