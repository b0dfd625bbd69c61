import assert from 'node:assert/strict'
import {
  chmodSync,
  chownSync,
  lchownSync,
  mkdirSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { closeFolder, explainForeign, makeFolders } from '../../src/platform/own-folder.ts'
import { makeFolder } from '../../src/roles/up/folder.ts'
import { freshFolder } from '../support/processes.ts'

const isRoot = process.getuid?.() === 0
const skip = !isRoot && 'only root can give a folder to another user'
const other = 12_345
const modeOf = (path: string) => (statSync(path).mode & 0o7777).toString(8)

describe('a folder of state', () => {
  test('is ours when we made it, and where it will be made', () => {
    const dir = freshFolder()
    assert.equal(explainForeign(dir), undefined)
    assert.equal(explainForeign(join(dir, 'not/yet')), undefined)
  })

  test('is refused when it belongs to another user', { skip }, () => {
    const dir = freshFolder()
    chownSync(dir, other, other)
    assert.match(explainForeign(dir) ?? '', /is a folder that belongs to another user \(id 12345\)/)
    assert.match(explainForeign(dir, { uid: 54_321 }) ?? '', /belongs to another user/)
    assert.equal(explainForeign(dir, { uid: other }), undefined)
    assert.throws(() => makeFolder(dir), /belongs to another user .* your own with --dir$/)
  })

  test('is refused for root below the folder of another user, there or not yet', { skip }, () => {
    const above = freshFolder()
    mkdirSync(join(above, 'state'))
    chownSync(above, other, other)
    for (const name of ['state', 'later/state']) {
      assert.match(explainForeign(join(above, name)) ?? '', /belongs to another user/)
    }
    assert.equal(explainForeign(join(above, 'later'), { uid: 54_321 }), undefined)
  })

  test('is refused for root below a folder that every user may change', { skip }, () => {
    const above = freshFolder()
    chmodSync(above, 0o777)
    assert.match(explainForeign(join(above, 'state')) ?? '', /run `chmod o-w \/.*`/)
    chmodSync(above, 0o1777)
    assert.equal(explainForeign(join(above, 'state')), undefined, 'as /tmp is')
  })

  test('is refused behind a link that another user made, and taken behind one of our own', {
    skip,
  }, () => {
    const dir = freshFolder()
    mkdirSync(join(dir, 'real'))
    symlinkSync('real', join(dir, 'link'))
    assert.equal(explainForeign(join(dir, 'link/state')), undefined)
    lchownSync(join(dir, 'link'), other, other)
    for (const path of [join(dir, 'link'), join(dir, 'link/state')]) {
      assert.match(explainForeign(path) ?? '', /link is a link that belongs to another user/)
    }
  })

  test('is refused by `up` when another user left a link in it, whatever its name', {
    skip,
  }, () => {
    for (const name of ['logs', 'run', 'postgres', 'spool', 'archive', 'up.lock', 'anything']) {
      const [dir, elsewhere] = [freshFolder(), freshFolder()]
      symlinkSync(elsewhere, join(dir, name))
      lchownSync(join(dir, name), other, other)
      const words = new RegExp(`${name} is a link that belongs to another user .* with --dir$`)
      assert.throws(() => makeFolder(dir), words)
      lchownSync(join(dir, name), 0, 0)
      makeFolder(dir)
    }
  })

  test('has the mode that was asked for, whatever the umask', (t) => {
    const before = process.umask(0o077)
    t.after(() => process.umask(before))
    const dir = join(freshFolder(), 'a/b')
    makeFolders(dir, 0o711)
    assert.deepEqual([modeOf(dir), modeOf(join(dir, '..'))], ['711', '711'])
  })
})

describe('closing a folder', () => {
  test('takes from others what they may do in it and with its files', () => {
    const dir = freshFolder()
    chmodSync(dir, 0o775)
    writeFileSync(join(dir, 'our-file'), '', { mode: 0o644 })
    mkdirSync(join(dir, 'our-folder'))
    closeFolder(dir, 0o022, /^our-/)
    assert.deepEqual([modeOf(dir), modeOf(join(dir, 'our-file'))], ['755', '600'])
    closeFolder(dir, 0o077, /^our-/)
    assert.equal(modeOf(dir), '700')
  })

  test('changes nothing that is not ours: a mistyped address would close a part of the system', () => {
    const dir = freshFolder()
    const file = join(dir, 'passwd')
    writeFileSync(file, '')
    writeFileSync(join(dir, 'our-file'), '')
    for (const path of [file, join(dir, 'our-file')]) chmodSync(path, 0o666)
    chmodSync(dir, 0o755)
    const refused = (path: string, message: RegExp) =>
      assert.throws(() => closeFolder(path, 0o077, /^our-/), { code: 'invalid', message })
    refused(file, /passwd is not a folder/)
    refused(dir, /holds more than our files \(passwd\): .* or run `chmod 700 \/.*`$/)
    assert.deepEqual([modeOf(file), modeOf(dir)], ['666', '755'])
    closeFolder(dir, 0o022, /^our-/)
    assert.deepEqual(
      [modeOf(file), modeOf(join(dir, 'our-file')), modeOf(dir)],
      ['666', '600', '755'],
    )
  })

  test('leaves a shared folder as it is, and writes through no link', () => {
    const [dir, shared] = [freshFolder(), freshFolder()]
    writeFileSync(join(dir, 'theirs'), '')
    chmodSync(join(dir, 'theirs'), 0o644)
    chmodSync(shared, 0o1777)
    symlinkSync(join(dir, 'theirs'), join(shared, 'link'))
    closeFolder(shared, 0o077, /./)
    assert.equal(modeOf(shared), '1777')
    chmodSync(shared, 0o755)
    closeFolder(shared, 0o077, /./)
    assert.deepEqual([modeOf(shared), modeOf(join(dir, 'theirs'))], ['700', '644'])
  })
})
