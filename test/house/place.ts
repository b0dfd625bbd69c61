import { readFileSync } from 'node:fs'
import type { Addition } from '../support/house.ts'

const imports = `import { text } from '../../platform/settings/kinds.ts'
import type { PlaceKind } from './place.ts'
`
const kind = `
/** By their names. */
export const disks = new Map<string, MemoryDisk>()

function findDisk(name: string): MemoryDisk {
  const disk = disks.get(name) ?? Object.assign(new MemoryDisk(), { gone: name === 'gone' })
  disks.set(name, disk)
  return disk
}

const settings = { FIXTURE_PLACE: text('Name of the memory.', { place: true }).optional() }

export const fixtureKind: PlaceKind<typeof settings> = {
  type: 'fixture',
  settings,
  open: ({ FIXTURE_PLACE: name }) =>
    name === undefined ? undefined : new MemoryPlace(findDisk(name)),
}
`

const memory = readFileSync(new URL('../archive/memory-place.ts', import.meta.url), 'utf8')
  .replaceAll('../../src/archive/places/', './')
  .replaceAll('../../src/', '../../')
  .replace(`setting = 'MEMORY'`, `setting = 'FIXTURE_PLACE'`)

/** Memory by name, made from the place that tests have already. The one named `gone` is not there. */
export const place: Addition = {
  thing: 'an archive place',
  written: { 'src/archive/places/fixture.ts': imports + memory + kind },
  list: {
    file: 'src/archive/places/index.ts',
    edits: [
      {
        find: `import { folderKind } from './folder.ts'`,
        replace: `import { fixtureKind } from './fixture.ts'
import { folderKind } from './folder.ts'`,
      },
      {
        find: 'placeKinds: readonly PlaceKind[] = [',
        replace: 'placeKinds: readonly PlaceKind[] = [fixtureKind, ',
      },
    ],
  },
}
