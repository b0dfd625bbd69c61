import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { Db } from '../../src/spool/db.ts'
import { DiskGuard } from '../../src/spool/disk-guard.ts'
import type { Space } from '../../src/spool/space.ts'

/** A space whose disk has room for the ballast when `hasRoom` says so. */
function spaceOf() {
  return {
    hasBallast: true,
    hasRoom: true,
    attempts: 0,
    trouble: undefined as string | undefined,
    explain: (error: unknown) => (error as Error).message,
    releaseBallast() {
      const held = this.hasBallast
      this.hasBallast = false
      return held
    },
    takeBallast() {
      this.attempts++
      this.hasBallast = this.hasRoom
      this.trouble = this.hasRoom ? undefined : 'full'
    },
    measure: () => {},
  }
}

function guarded() {
  const space = spaceOf()
  const told: (string | undefined)[] = []
  const guard = new DiskGuard({ inTransaction: false } as Db, space as unknown as Space, {
    onTrouble: (trouble) => void told.push(trouble),
  })
  return { space, guard, told }
}

const failure = (code: string) => Object.assign(new Error(code), { code })
const codes = [
  'SQLITE_FULL',
  'SQLITE_IOERR_WRITE',
  'SQLITE_IOERR_FSYNC',
  'SQLITE_CANTOPEN',
  'SQLITE_READONLY',
]

describe('a write that fails', () => {
  for (const code of codes) {
    test(`costs the ballast first, whatever its code, and is tried again (${code})`, () => {
      const { guard, space } = guarded()
      let attempts = 0
      const once = () => {
        if (++attempts === 1) throw failure(code)
      }
      assert.doesNotThrow(() => guard.write(once))
      assert.deepEqual([attempts, space.hasBallast, guard.trouble], [2, false, undefined])
      const lasting = () => {
        attempts++
        throw failure(code)
      }
      assert.throws(() => guard.write(lasting), { code })
      assert.deepEqual([attempts, guard.trouble], [3, code])
    })
  }

  test('by a mistake of ours costs nothing', () => {
    const { guard, space } = guarded()
    assert.throws(() =>
      guard.write(() => {
        throw new TypeError('planted')
      }),
    )
    assert.deepEqual([space.hasBallast, guard.works], [true, true])
  })
})

describe('after a write that failed', () => {
  test('the ballast is taken only once another write has worked', () => {
    const { guard, space, told } = guarded()
    guard.failed(failure('SQLITE_IOERR_WRITE'))
    const still = () => {
      throw failure('SQLITE_IOERR_WRITE')
    }
    guard.recover({ write: still, isEmpty: false })
    assert.deepEqual([space.attempts, guard.works], [0, false])
    guard.recover({ write: () => {}, isEmpty: false, now: true })
    assert.deepEqual([space.hasBallast, guard.works], [true, true])
    assert.deepEqual(told, ['SQLITE_IOERR_WRITE', undefined])
  })

  test('nothing works while there is no room for the ballast, and it is not tried all the time', () => {
    const { guard, space } = guarded()
    guard.failed(failure('SQLITE_FULL'))
    space.hasRoom = false
    let writes = 0
    const write = () => void writes++
    for (let i = 0; i < 3; i++) guard.recover({ write, isEmpty: true })
    assert.deepEqual([writes, guard.works, guard.trouble], [1, false, 'full'])
    space.hasRoom = true
    guard.recover({ write, isEmpty: true, now: true })
    assert.deepEqual([writes, guard.works, guard.trouble], [2, true, undefined])
    guard.recover({ write, isEmpty: true, now: true })
    assert.equal(writes, 2)
  })
})
