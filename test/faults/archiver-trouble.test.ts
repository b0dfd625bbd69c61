import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { manifestPath } from '../../src/archive/layout.ts'
import {
  archiver,
  bothSides,
  doorTo,
  hasManifest,
  health,
  names,
  remount,
  rowsNoted,
  smallDisk,
  some,
  verify,
} from '../archive/role.ts'
import { closedDay, dayAt, eventAt, run, takeIn } from '../archive/support.ts'
import { freshFolder, until } from '../support/processes.ts'

describe('wafermon archiver, in trouble', () => {
  test('is not ready without its folder, and continues once it is there', async (t) => {
    const { url } = await closedDay(t, some(3))
    const above = join(freshFolder(), 'mount')
    const role = await archiver(t, url, join(above, 'archive'))
    const { code, trouble } = await health(role)
    assert.equal(code, 503)
    assert.match(trouble ?? '', /ARCHIVE_DIR: .*its parent folder is missing/)
    mkdirSync(above)
    await until('the day', () => hasManifest(join(above, 'archive')))
    await until('health', async () => (await health(role)).code === 200)
    assert.match(await (await fetch(`${role.url}/metrics`)).text(), /archive_failures_total [1-9]/)
  })

  test('is not ready while something else is in the place of its folder', async (t) => {
    const { url } = await closedDay(t, some(1))
    const file = join(freshFolder(), 'file')
    writeFileSync(file, '')
    assert.equal((await health(await archiver(t, url, file))).code, 503)
  })

  test('writes nothing into a folder that is not the archive it knows', async (t) => {
    const { store, url } = await closedDay(t, some(3, 9))
    const dir = join(freshFolder(), 'archive')
    const role = await archiver(t, url, dir)
    await until('the first day on record', async () => (await rowsNoted(store)) > 0)
    renameSync(dir, `${dir}-elsewhere`)
    await takeIn(store, some(3, 11))
    await until('trouble', async () =>
      /no files of fab1, although it was archived before/.test((await health(role)).trouble ?? ''),
    )
    assert.deepEqual(readdirSync(dir), [])
    rmSync(dir, { recursive: true })
    renameSync(`${dir}-elsewhere`, dir)
    await until('the second day', () => hasManifest(dir, 11))
    assert.deepEqual(verify(dir).problems, [])
  })

  test('does not write a day again whose manifest was lost', async (t) => {
    const { store, url } = await closedDay(t, [...some(3, 9), ...some(3, 11)])
    const dir = freshFolder()
    const first = await archiver(t, url, dir)
    await until('both', async () => {
      const [row] = await run(store, 'select count(distinct starts_at)::int as n from archive_file')
      return row?.n === 2
    })
    await first.stop()
    rmSync(join(dir, manifestPath(dayAt(9), 1)))
    const role = await archiver(t, url, dir)
    const found = await until('the failure', async () => {
      const now = await health(role)
      return now.failed_days === 1 && now
    })
    assert.deepEqual([found.code, found.status], [200, 'degraded'])
    assert.match(JSON.stringify(found.failures), /lacks a manifest that it had/)
    assert.ok(!hasManifest(dir, 9))
  })

  test('survives the loss of the database, and continues once it is back', async (t) => {
    const { store, url } = await closedDay(t, some(3, 9))
    const door = await doorTo(t, url)
    const dir = freshFolder()
    const role = await archiver(t, door.url, dir)
    await until('the first day', () => hasManifest(dir, 9))
    door.shut()
    await until('trouble', async () => (await health(role)).code === 503)
    await takeIn(store, some(3, 11))
    await door.open()
    await until('the second day', () => hasManifest(dir, 11), 60_000)
    await until('health', async () => (await health(role)).code === 200)
  })

  test('finishes the day once a full disk has room again', async (t) => {
    if (process.getuid?.() !== 0) return t.skip('a small disk can only be mounted by root')
    const dense = () => ({ metadata: { noise: randomBytes(300).toString('hex') } })
    const { url } = await closedDay(
      t,
      Array.from({ length: 3000 }, (_, i) => eventAt(i, dense())),
    )
    const dir = smallDisk(t, '256k')
    const role = await archiver(t, url, dir)
    await until('trouble', async () => /disk.* full/.test((await health(role)).trouble ?? ''))
    assert.equal((await health(role)).code, 503)
    assert.ok(!hasManifest(dir))
    remount(dir, 'size=64m')
    await until('the day', () => hasManifest(dir), 60_000)
    assert.deepEqual(verify(dir).problems, [])
  })

  test('says that a disk is mounted read-only', async (t) => {
    if (process.getuid?.() !== 0) return t.skip('a disk can only be mounted by root')
    const { url } = await closedDay(t, some(3))
    const dir = smallDisk(t, '1m')
    remount(dir, 'ro')
    const role = await archiver(t, url, dir)
    assert.match((await health(role)).trouble ?? '', /EROFS.*read-only/)
    remount(dir, 'rw')
    await until('the day', () => hasManifest(dir), 60_000)
  })

  test('writes nothing to a mount point from which the disk is gone', async (t) => {
    if (process.getuid?.() !== 0) return t.skip('a disk can only be mounted by root')
    const { store, url } = await closedDay(t, some(3, 9))
    const dir = freshFolder()
    const disk = freshFolder()
    const mount = () => execFileSync('mount', ['--bind', disk, dir])
    mount()
    t.after(() => execFileSync('umount', ['-l', dir]))
    const role = await archiver(t, url, dir)
    await until('the first day', async () => (await rowsNoted(store)) === 6)
    execFileSync('umount', ['-l', dir])
    await takeIn(store, some(3, 11))
    await until('trouble', async () =>
      /no files of fab1.*mount the right folder/.test((await health(role)).trouble ?? ''),
    )
    assert.deepEqual(readdirSync(dir), [])
    mount()
    await until('the second day', async () => (await rowsNoted(store)) === 12, 60_000)
    assert.deepEqual(verify(dir).problems, [])
  })

  test('makes no day of what it got before the database was killed', async (t) => {
    const dense = () => ({ metadata: { noise: randomBytes(300).toString('hex') } })
    const { store, url } = await closedDay(
      t,
      Array.from({ length: 3000 }, (_, i) => eventAt(i, dense())),
    )
    const door = await doorTo(t, url)
    // About a third of what it has to read.
    door.shutAfter(2 ** 20)
    const dir = freshFolder()
    const role = await archiver(t, door.url, dir)
    await until('the cut', () => door.isShut())
    await until('trouble', async () => (await health(role)).code === 503)
    assert.deepEqual([names(join(dir, 'event')), hasManifest(dir)], [[], false])
    await door.open()
    await until('the day', async () => (await rowsNoted(store)) === 6000, 60_000)
    assert.deepEqual(verify(dir).problems, [])
    assert.deepEqual(names(join(dir, '_tmp/site=fab1')), [])
    const { archived, hot } = await bothSides(store, dir)
    assert.deepEqual(archived, hot)
  })

  test('says which file was overwritten, before anything hot goes', async (t) => {
    const { store, url } = await closedDay(t, some(5))
    const dir = freshFolder()
    const first = await archiver(t, url, dir)
    await until('the day', async () => (await rowsNoted(store)) === 10)
    await first.stop()
    const [file] = await run(store, `select path from archive_file where kind = 'event'`)
    writeFileSync(join(dir, String(file?.path)), 'something else')
    const role = await archiver(t, url, dir)
    const found = await until('the failure', async () => {
      const now = await health(role)
      return now.failed_days === 1 && now
    })
    assert.match(JSON.stringify(found.failures), /has 14 bytes, not \d+.*restore it from a copy/)
  })
})
