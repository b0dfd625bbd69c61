import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { chmodSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { writeDurably } from '../../src/platform/durable-file.ts'
import { freshFolder } from '../support/processes.ts'
import { hasStrace, straceMissing } from '../support/strace.ts'

const module = fileURLToPath(new URL('../../src/platform/durable-file.ts', import.meta.url))

describe('a file that is replaced as a whole', () => {
  test('has the new content, with nothing beside it', () => {
    const folder = freshFolder()
    const path = join(folder, 'state.json')
    writeDurably(path, 'one')
    writeDurably(path, 'zwölf')
    assert.equal(readFileSync(path, 'utf8'), 'zwölf')
    assert.deepEqual(readdirSync(folder), ['state.json'])
  })

  test('has the permissions and the owner that were asked for', () => {
    const path = join(freshFolder(), 'tokens')
    const { uid, gid } = statSync(freshFolder())
    writeDurably(path, 'x', { mode: 0o600, owner: { uid, gid } })
    const { mode, ...owner } = statSync(path)
    assert.deepEqual([mode & 0o777, owner.uid, owner.gid], [0o600, uid, gid])
  })

  test('replaces the leftovers of a kill', () => {
    const path = join(freshFolder(), 'state.json')
    writeFileSync(`${path}.partial`, 'half')
    chmodSync(`${path}.partial`, 0o400)
    writeDurably(path, 'whole')
    assert.equal(readFileSync(path, 'utf8'), 'whole')
  })

  test('stays as it was when it cannot be replaced', () => {
    const folder = freshFolder()
    const path = join(folder, 'taken')
    mkdirSync(join(path, 'full'), { recursive: true })
    assert.throws(() => writeDurably(path, 'x'))
    assert.deepEqual(readdirSync(folder), ['taken'])
  })

  const skip = !hasStrace && straceMissing
  test('is synced before it gets its name, and the folder after that', { skip }, () => {
    const path = join(freshFolder(), 'state.json')
    const code = `import { writeDurably } from ${JSON.stringify(module)}; writeDurably(${JSON.stringify(path)}, 'x')`
    const node = [process.execPath, '--input-type=module', '-e', code]
    const traced = spawnSync('strace', ['-f', '-y', '-e', 'trace=fsync,rename', ...node], {
      encoding: 'utf8',
    })
    const calls = traced.stderr
      .split('\n')
      .filter((line) => line.includes('state.json') || /fsync/.test(line))
    const names = calls.map((line) => /(fsync|rename)\(/.exec(line)?.[1])
    assert.deepEqual(names, ['fsync', 'rename', 'fsync'], traced.stderr.slice(-2000))
  })
})
