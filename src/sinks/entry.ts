import * as z from 'zod'
import { statuses } from '../core/job.ts'
import { kinds } from '../core/kinds.ts'
import type { SinkFilter } from '../core/sink-filter.ts'
import { choice, flag, readFlag, readNumber } from '../platform/settings/kinds.ts'

/*
 * An entry of INTEGRATIONS_CONFIG: what is the same for every kind of sink.
 */

const nameMessage = 'must be text of 1 to 64 characters without control characters'

const words = <const W extends string>(description: string, choices: readonly W[]) => {
  const message = `must be a list of ${choices.join(', ')}`
  return z
    .array(z.enum(choices as unknown as [W, ...W[]], message), message)
    .min(1, `${message}, or absent`)
    .meta({ description, range: choices.join(', ') })
    .optional()
}

const names = (description: string) => {
  const message = 'must be a list of names'
  return z
    .array(z.string(message).min(1, message), message)
    .min(1, `${message}, or absent`)
    .meta({ description })
    .optional()
}

export const filterSchema = z.strictObject(
  {
    kind: words('Kinds of events.', kinds),
    entity: words('Types of entities.', ['job', 'subjob']),
    app: names('Names of apps, as they are written.'),
    site: names('Ids of sites.'),
    status: words('What the event says the status is, or what its kind stands for.', statuses),
    tick_sample: readNumber(
      'Share of `progress` and `metric` events; the same ones each time.',
      { min: 0, max: 1, unit: '' },
      false,
    ).optional(),
  },
  { error: onObject('must be an object of lists') },
)

export const entrySchema = z.strictObject(
  {
    type: z
      .string('must be the name of a kind of sink')
      .meta({ description: 'The kind of sink, below.' }),
    name: z
      .string(nameMessage)
      .regex(/^(?=\S)[^\p{Cc}]{1,64}(?<=\S)$/u, nameMessage)
      .meta({
        description:
          'Its name in the spool, in health, logs and metrics. It keeps its position by it.',
      }),
    enabled: flag('False: it is offered nothing.', true),
    required: readFlag(
      'It misses no event: when the spool is full of what it is owed, new events are refused. Unless set: true for `local_api`, and for every sink when no `local_api` is enabled.',
    ).optional(),
    from: choice(
      'Where a new sink begins: with the oldest event that the spool has, or with the next one.',
      ['oldest', 'now'],
      'oldest',
    ),
    filter: filterSchema
      .meta({ description: 'The events that it is offered, below.' })
      .optional()
      .default({}),
    batch_size: readNumber(
      'Maximum events in a batch, if less than MAX_BATCH_SIZE and than its kind takes.',
      { min: 1, max: 10_000, unit: 'events' },
      true,
    ).optional(),
    rate_limit: readNumber(
      'Maximum events per second.',
      { min: 0.1, max: 1_000_000, unit: 'events/s' },
      false,
    ).optional(),
    config: z
      .record(z.string(), z.unknown(), 'must be an object of settings')
      .default({})
      .meta({ description: 'The settings of its kind, below.' }),
  },
  { error: onObject('must be an object {type, name, config}') },
)

/** Says it in our words where the whole is no object; names of unknown fields are said elsewhere. */
function onObject(message: string) {
  return (issue: { code?: string }) => (issue.code === 'invalid_type' ? message : undefined)
}

/** A sink as an operator configures it, with `config` as it was written, but for variables. */
export type SinkEntry = Omit<z.output<typeof entrySchema>, 'filter'> & { filter: SinkFilter }

/** The problems of an entry or of its settings. Without the value: it may be a secret. */
export const toProblems = (issue: z.core.$ZodIssue): string[] => {
  const path = issue.path.join('.')
  if (issue.code === 'unrecognized_keys') {
    const before = path === '' ? '' : `${path}.`
    return issue.keys.map((key) => `${before}${key}: no such setting; check the spelling`)
  }
  return [path === '' ? issue.message : `${path}: ${issue.message}`]
}
