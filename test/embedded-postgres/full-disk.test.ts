import assert from 'node:assert/strict'
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, statfsSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { createCluster } from '../../src/embedded-postgres/cluster.ts'
import { installBinaries } from '../../src/embedded-postgres/install.ts'
import { socketFolder } from '../../src/embedded-postgres/socket.ts'
import { chooseUser } from '../../src/embedded-postgres/user.ts'
import { createLog } from '../../src/platform/log.ts'
import { remount, smallDisk } from '../archive/role.ts'
import { diskOf } from '../support/full-disk.ts'
import { freshFolder } from '../support/processes.ts'

const log = createLog({
  ...{ service: 'test', level: 'info', json: true },
  destination: { write: () => {} },
})
const user = { name: 'test' }
const needsRoot = { skip: process.getuid?.() !== 0 && 'a small disk can only be mounted by root' }

describe('a full disk', () => {
  for (const name of ['postgres.password', 'postgres.initial']) {
    test(`under ${name} refuses the first start in words, and leaves nothing half done`, async (t) => {
      const dir = freshFolder()
      const dataDir = join(dir, 'postgres')
      diskOf(t).fill(join(dir, name))
      const cluster = { dir, dataDir, binaries: join(dir, 'postgres-18'), user, log }
      await assert.rejects(createCluster(cluster), /ENOSPC: no space left/)
      assert.deepEqual([existsSync(join(dir, name)), existsSync(dataDir)], [false, false])
    })
  }

  test(
    'under the programs of PostgreSQL and its data leaves no half of them, and is over with space',
    needsRoot,
    async (t) => {
      const dir = smallDisk(t, '4m')
      await assert.rejects(installBinaries(dir), /ENOSPC/)
      const whole = () => readdirSync(dir).filter((name) => /^postgres-[\d.]+$/.test(name))
      assert.deepEqual(whole(), [])
      remount(dir, 'size=512m')
      const binaries = await installBinaries(dir)
      chmodSync(dir, 0o711)
      const dataDir = join(dir, 'postgres')
      const cluster = { dir, dataDir, binaries, user: chooseUser(dataDir), log }
      const { blocks, bavail, bsize } = statfsSync(dir)
      remount(dir, `size=${(blocks - bavail) * bsize + 4 * 2 ** 20}`)
      await assert.rejects(
        createCluster(cluster),
        /initdb ended with 1: .*No space left on device/s,
      )
      assert.ok(!existsSync(dataDir))
      remount(dir, 'size=512m')
      await createCluster(cluster)
      assert.ok(existsSync(join(dataDir, 'PG_VERSION')))
      assert.ok(!existsSync(`${dataDir}.new`))
    },
  )

  test('under postgres.socket does not keep the database from starting', async (t) => {
    const dir = join(freshFolder(), 'd'.repeat(100))
    mkdirSync(dir)
    const disk = diskOf(t)
    disk.fill(join(dir, 'postgres.socket'))
    const first = await socketFolder(dir, user, '5432')
    assert.ok(existsSync(first.path))
    disk.free()
    const second = await socketFolder(dir, user, '5432')
    assert.equal(readFileSync(join(dir, 'postgres.socket'), 'utf8'), second.path)
    disk.fill(join(dir, 'postgres.socket'))
    assert.equal((await socketFolder(dir, user, '5432')).path, second.path, 'its record is there')
    for (const { remove } of [first, second]) await remove()
  })
})
