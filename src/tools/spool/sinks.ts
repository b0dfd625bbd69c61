import * as z from 'zod'
import { AppError } from '../../core/errors.ts'
import { print } from '../../platform/stdout.ts'
import { askSidecar, type Sidecar } from '../sidecar.ts'
import { ageText, grouped, table } from '../table.ts'
import { fits } from './rejects.ts'

const sinkSchema = z.looseObject({
  name: z.string(),
  type: z.string().nullable(),
  required: z.boolean(),
  state: z.string(),
  lag_events: z.number(),
  lag_s: z.number(),
  delivered: z.number(),
  filtered: z.number(),
  rejects: z.number(),
  skipped: z.number(),
  last_error: z.string().nullable(),
})
type Sink = z.infer<typeof sinkSchema>
const answerSchema = z.object({
  total: z.number(),
  enabled: z.number(),
  integrations: z.array(sinkSchema),
})

/**
 * Prints the sinks of a sidecar, or one of them.
 *
 * @throws AppError not_found when there is none of that name
 */
export async function printSinks(
  sidecar: Sidecar,
  { sink, json }: { sink?: string | undefined; json: boolean },
): Promise<void> {
  const answer = fits(answerSchema, await askSidecar(sidecar, '/v1/integrations'), sidecar.url)
  const { integrations } = answer
  const found = integrations.filter(({ name }) => sink === undefined || name === sink)
  if (found.length === 0 && sink !== undefined) throw noSuchSink(sink)
  if (json) return print(`${JSON.stringify({ ...answer, integrations: found })}\n`)
  const titles = ['SINK', 'KIND', 'STATE', 'REQUIRED', 'WAITING', 'OLDEST', 'DELIVERED']
  const more = ['FILTERED', 'REJECTS', 'SKIPPED', 'LAST ERROR']
  await print(`${table([[...titles, ...more], ...found.map(toCells)])}\n`)
}

const toCells = (one: Sink): string[] => [
  ...[one.name, one.type ?? '', one.state, one.required ? 'yes' : 'no'],
  ...[grouped(one.lag_events), ageText(one.lag_s), grouped(one.delivered), grouped(one.filtered)],
  ...[grouped(one.rejects), grouped(one.skipped), one.last_error ?? ''],
]

export const noSuchSink = (name: string) =>
  new AppError('not_found', `there is no sink ${name}; wafermon spool sinks lists them`)

const doneSchema = z.looseObject({ ok: z.literal(true), skipped: z.number().optional() })

/** What an operator does to a sink, and the word for it. */
const words = { forget: 'forgotten', pause: 'paused', resume: 'resumed', skip: 'skipped' } as const
export type SinkChange = keyof typeof words

/**
 * Does it, and prints that it is done.
 *
 * @param params `reason` of a pause or a skip; `up_to` of a skip
 * @throws AppError not_found when there is no such sink; conflict when it is configured and to be forgotten
 */
export async function changeSink(
  sidecar: Sidecar,
  name: string,
  does: SinkChange,
  { params = {}, json }: { params?: Record<string, string>; json: boolean },
): Promise<void> {
  const query = new URLSearchParams(params).toString()
  const path = `/v1/spool/sinks/${encodeURIComponent(name)}/${does}${query && `?${query}`}`
  const answer = fits(doneSchema, await askSidecar(sidecar, path, { method: 'POST' }), sidecar.url)
  if (json) return print(`${JSON.stringify({ sink: name, did: does, ...answer })}\n`)
  const { skipped } = answer
  const count = skipped === undefined ? '' : ` (${grouped(skipped)} events)`
  await print(`${words[does]}: ${name}${count}\n`)
}
