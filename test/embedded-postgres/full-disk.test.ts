import assert from 'node:assert/strict'
import { existsSync, mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { createCluster } from '../../src/embedded-postgres/cluster.ts'
import { socketFolder } from '../../src/embedded-postgres/socket.ts'
import { createLog } from '../../src/platform/log.ts'
import { diskOf } from '../support/full-disk.ts'
import { freshFolder } from '../support/processes.ts'

const log = createLog({
  ...{ service: 'test', level: 'info', json: true },
  destination: { write: () => {} },
})
const user = { name: 'test' }

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
