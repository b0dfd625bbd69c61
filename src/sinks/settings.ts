import * as z from 'zod'
import { withReader } from '../platform/settings/group.ts'
import type { SinkEntry } from './entry.ts'
import { readEntries, setting } from './read-entries.ts'

const settings = z.object({
  INTEGRATIONS_CONFIG: z
    .custom<readonly SinkEntry[]>(() => true)
    .meta({
      description:
        'The sinks: a JSON array of entries, or the path of a file with one; unless set, the local API alone. docs/INTEGRATIONS.md has the fields.',
      range: 'entries `{type, name, ...}`',
      secret: true,
      place: true,
    })
    .optional(),
})

export const integrationsSettings = withReader(settings, { name: setting, read: readEntries })
