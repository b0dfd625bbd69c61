import { truncateSync } from 'node:fs'
import { join } from 'node:path'
import { FolderPlace } from '../../src/archive/places/folder.ts'
import { must } from '../../src/core/must.ts'
import { freshFolder } from '../support/processes.ts'
import { MemoryDisk, MemoryPlace } from './memory-place.ts'
import { testPlace } from './place-contract.ts'

testPlace('a folder', () => {
  const dir = freshFolder()
  return {
    open: () => new FolderPlace(dir),
    cut: (name, bytes) => truncateSync(join(dir, name), bytes),
    unusable: () => new FolderPlace(join(dir, 'missing', 'archive')),
  }
})

testPlace('memory', () => {
  const disk = new MemoryDisk()
  return {
    open: () => new MemoryPlace(disk),
    cut: (name, bytes) => {
      const whole = must(disk.named.get(name), 'it was put')
      disk.named.set(name, whole.subarray(0, bytes))
    },
    unusable: () => new MemoryPlace(Object.assign(new MemoryDisk(), { gone: true })),
  }
})
