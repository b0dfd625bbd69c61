import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { existsSync, rmSync, statfsSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, type TestContext, test } from 'node:test'
import { Ballast } from '../../src/spool/ballast.ts'
import { freshFolder } from '../support/processes.ts'

const mib = 2 ** 20
const noSmallDisk = process.getuid?.() === 0 ? undefined : 'mounting a small disk needs root'

/** A folder on a disk of its own, in memory. */
function diskOf(t: TestContext, size: string): string {
  const dir = freshFolder()
  execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${size}`, 'tmpfs', dir])
  t.after(() => execFileSync('umount', ['-l', dir]))
  return dir
}

const sizeIn = (dir: string) => statSync(join(dir, 'ballast')).size
const freeIn = (dir: string) => statfsSync(dir).bavail * statfsSync(dir).bsize

describe('the ballast', { skip: noSmallDisk }, () => {
  test('takes no more than half of what is free', (t) => {
    const dir = diskOf(t, '6m')
    const ballast = new Ballast(dir, 4 * mib)
    assert.equal(ballast.take(), true)
    assert.deepEqual([sizeIn(dir), ballast.share], [3 * mib, 0.75])
    assert.ok(freeIn(dir) >= 3 * mib)
  })

  test('that an earlier process took is halved when nothing is free beside it', (t) => {
    const dir = diskOf(t, '4m')
    writeFileSync(join(dir, 'ballast'), Buffer.alloc(4 * mib))
    assert.equal(freeIn(dir), 0)
    assert.equal(new Ballast(dir, 4 * mib).take(), true)
    assert.deepEqual([sizeIn(dir), freeIn(dir)], [2 * mib, 2 * mib])
  })

  test('is not taken when only a sliver is free, says why, and leaves that free', (t) => {
    const dir = diskOf(t, '6m')
    writeFileSync(join(dir, 'others'), Buffer.alloc(5 * mib))
    const ballast = new Ballast(dir, 4 * mib)
    assert.equal(ballast.take(), false)
    assert.match(ballast.trouble ?? '', /disk of the spool is full/)
    assert.equal(freeIn(dir), mib)
    rmSync(join(dir, 'others'))
    assert.equal(ballast.take(), true)
    assert.equal(ballast.trouble, undefined)
  })

  test('cut off by a kill, or emptied, is filled again', () => {
    const dir = freshFolder()
    new Ballast(dir, mib).take()
    truncateSync(join(dir, 'ballast'), 1000)
    const next = new Ballast(dir, mib)
    assert.equal(next.take(), true)
    assert.deepEqual([sizeIn(dir), next.share], [mib, 1])
  })

  test('is given up once, also when an operator has removed it', () => {
    const dir = freshFolder()
    const ballast = new Ballast(dir, mib)
    assert.equal(ballast.release(), false, 'it is not held yet')
    ballast.take()
    assert.equal(ballast.release(), true)
    assert.equal(sizeIn(dir), 0)
    assert.equal(ballast.release(), false)
    ballast.take()
    rmSync(join(dir, 'ballast'))
    assert.deepEqual([ballast.release(), ballast.held], [true, false])
    assert.equal(existsSync(join(dir, 'ballast')), false)
  })
})
