import type { Addition } from '../support/house.ts'

/** Appends events to a file. */
export const sink: Addition = {
  thing: 'a sink',
  written: {
    'src/sinks/fixture/settings.ts': `import * as z from 'zod'
import { text } from '../../platform/settings/kinds.ts'

export const settings = z.strictObject({ file: text('File that the events are kept in.') })
`,
    'src/sinks/fixture/index.ts': `import { appendFile } from 'node:fs/promises'
import { toJudged } from '../../core/delivery.ts'
import { defineSink } from '../kind.ts'
import { settings } from './settings.ts'

export const fixture = defineSink({
  type: 'fixture',
  about: 'A file, a line for each event.',
  settings,
  limits: { events: 4, bytes: 1_000_000 },
  ordered: false,
  open: ({ file }) => ({
    async deliver(batch) {
      await appendFile(file, batch.map(({ body }) => \`\${body}\\n\`).join(''))
      return toJudged(
        batch,
        batch.map(() => 'taken' as const),
      )
    },
  }),
})
`,
  },
  list: {
    file: 'src/sinks/index.ts',
    edits: [
      {
        find: `import { localApi } from './local-api/index.ts'`,
        replace: `import { fixture } from './fixture/index.ts'
import { localApi } from './local-api/index.ts'`,
      },
      {
        find: 'sinkKinds: readonly SinkKind[] = [',
        replace: 'sinkKinds: readonly SinkKind[] = [fixture, ',
      },
    ],
  },
}
