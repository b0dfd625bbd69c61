import type { Addition } from '../support/house.ts'

/** Lines of an id and a time: each a job that ended then. */
export const format: Addition = {
  thing: 'an import format',
  written: {
    'src/tools/import/formats/fixture.ts': `import { BadValue, defineFormat, type Observation } from '../format.ts'
import { readAt } from '../values.ts'

export const fixture = defineFormat<string>({
  cut: (source) => source.lines(),
  observe: (context) => (line) => {
    const [job = '', time] = line.split(' ')
    if (time === undefined) throw new BadValue('has no time')
    const at = readAt('time', time, context)
    return [{ job, key: job, kind: 'finished', at, status: 'succeeded' } satisfies Observation]
  },
})
`,
  },
  list: {
    file: 'src/tools/import/formats/index.ts',
    edits: [
      {
        find: 'formats: readonly FormatEntry[] = [',
        replace: `formats: readonly FormatEntry[] = [
  {
    name: 'fixture',
    about: 'lines of an id and a time',
    load: async () => (await import('./fixture.ts')).fixture,
  },`,
      },
    ],
  },
}
