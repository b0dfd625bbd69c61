import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { chmodSync, chownSync, mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import Database from 'better-sqlite3'
import { Ballast } from '../../src/spool/ballast.ts'
import { openSpool } from '../../src/spool/open.ts'
import { diskOf } from '../support/full-disk.ts'
import { freshFolder, startRole } from '../support/processes.ts'

const isRoot = process.getuid?.() === 0
const modeOf = (path: string) => (statSync(path).mode & 0o777).toString(8)

describe('a spool', () => {
  test('is closed to other users, also one that an earlier version left open', async (t) => {
    const dir = join(freshFolder(), 'spool')
    mkdirSync(dir)
    chmodSync(dir, 0o755)
    for (const name of ['lock.db', 'source-id']) {
      writeFileSync(join(dir, name), name === 'lock.db' ? '' : 'node-7\n')
      chmodSync(join(dir, name), 0o644)
    }
    await startRole(t, 'sidecar', { SPOOL_DIR: dir, LOCAL_API_BASE: 'http://127.0.0.1:1' })
    const files = readdirSync(dir)
    assert.ok(files.includes('spool.db') && files.includes('spool.db-wal'), files.join())
    assert.deepEqual(
      files.filter((name) => modeOf(join(dir, name)) !== '600'),
      [],
    )
    assert.equal(modeOf(dir), '700')
    if (!isRoot) return
    const read = spawnSync('cat', [join(dir, 'lock.db')], { uid: 65_534, encoding: 'utf8' })
    assert.match(read.stderr, /Permission denied/)
  })

  test('opens while a reader holds its lock file, and for one sidecar only', () => {
    const dir = freshFolder()
    const first = openSpool(dir, ['a'])
    first.db.close()
    first.lock.close()
    // As an earlier version leaves it when it is killed.
    writeFileSync(join(dir, 'lock.db-journal'), Buffer.alloc(512))
    const reader = new Database(join(dir, 'lock.db'))
    reader.exec('begin; select * from sqlite_master')
    const second = openSpool(dir, ['a'])
    assert.throws(() => openSpool(dir, ['a']), /is in use by another sidecar/)
    assert.deepEqual(
      readdirSync(dir).filter((name) => name.startsWith('lock.db')),
      ['lock.db'],
    )
    for (const db of [reader, second.db, second.lock]) db.close()
  })

  test('without space for its ballast says so, and leaves none of it', (t) => {
    const dir = freshFolder()
    const disk = diskOf(t)
    disk.fill(join(dir, 'ballast'), 2 ** 20)
    assert.equal(new Ballast(dir).take(), false)
    assert.deepEqual(readdirSync(dir), [])
    disk.free()
    assert.equal(new Ballast(dir, 4096).take(), true)
  })

  test('of another user is refused', { skip: !isRoot && 'needs root' }, () => {
    const dir = freshFolder()
    chownSync(dir, 12_345, 12_345)
    assert.throws(() => openSpool(dir, ['a']), /^ConfigError: SPOOL_DIR: .*belongs to another user/)
  })
})
