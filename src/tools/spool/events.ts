import * as z from 'zod'
import { print } from '../../platform/stdout.ts'
import { askSidecar, type Sidecar } from '../sidecar.ts'
import { grouped, table } from '../table.ts'
import { fits } from './rejects.ts'

const itemSchema = z.looseObject({
  seq: z.number(),
  received_at: z.string().nullable(),
  bytes: z.number(),
  kind: z.string().nullable(),
  entity_type: z.string().nullable(),
  business_key: z.string().nullable(),
  entity_id: z.string().nullable(),
  app: z.string().nullable(),
  owed: z.array(z.string()),
  event: z.unknown().optional(),
})
type Item = z.infer<typeof itemSchema>
const pageSchema = z.object({ items: z.array(itemSchema), next: z.number().nullable() })

/** Which events: after a number, up to one, of one sink. */
export type Range = {
  after?: number | undefined
  upTo?: number | undefined
  sink?: string | undefined
}

/** Maximum rows of one answer of a sidecar. */
const pageSize = 1000

/** The events in a spool, in the order they came. @param whole with their texts */
async function* readEvents(
  sidecar: Sidecar,
  { after: first, upTo = Infinity, sink }: Range,
  { limit = Infinity, whole = false } = {},
): AsyncGenerator<Item> {
  let after = first
  let rest = limit
  while (rest > 0) {
    const query = new URLSearchParams({
      limit: String(Math.min(rest, pageSize)),
      ...(after === undefined ? {} : { after: String(after) }),
      ...(sink === undefined ? {} : { sink }),
      ...(whole ? { whole: 'true' } : {}),
    })
    const answer = await askSidecar(sidecar, `/v1/spool/events?${query}`)
    const { items, next } = fits(pageSchema, answer, sidecar.url)
    for (const item of items) {
      if (item.seq > upTo) return
      yield item
    }
    if (next === null) return
    rest -= items.length
    after = next
  }
}

/** Prints which events are in the spool, the oldest first. */
export async function printEvents(
  sidecar: Sidecar,
  { limit, json, ...range }: Range & { limit: number; json: boolean },
): Promise<void> {
  const items: Item[] = []
  for await (const item of readEvents(sidecar, range, { limit })) items.push(item)
  if (json) return print(items.map((item) => `${JSON.stringify(item)}\n`).join(''))
  if (items.length === 0) return print('no events\n')
  const titles = ['SEQ', 'ACCEPTED AT', 'KIND', 'OF', 'KEY', 'APP', 'BYTES', 'OWED TO']
  await print(`${table([titles, ...items.map(toCells)])}\n`)
  if (items.length === limit) process.stderr.write('there may be more; --limit shows more\n')
}

const toCells = (item: Item): string[] => [
  String(item.seq),
  item.received_at === null ? '?' : `${item.received_at.slice(0, 19)}Z`,
  item.kind ?? '?',
  item.entity_type ?? '?',
  item.business_key ?? item.entity_id ?? '?',
  item.app ?? '?',
  grouped(item.bytes),
  item.owed.join(', '),
]

/** Prints one event. @throws AppError not_found when the spool does not have it */
export async function printEvent(sidecar: Sidecar, seq: number, json: boolean): Promise<void> {
  const answer = await askSidecar(sidecar, `/v1/spool/events/${seq}`)
  const found = fits(itemSchema, answer, sidecar.url)
  if (json) return print(`${JSON.stringify(found)}\n`)
  const { event, owed, ...rest } = found
  const head = Object.entries(rest).map(([name, value]) => [name, String(value ?? '')])
  await print(
    `${table([...head, ['owed to', owed.join(', ')]])}\n\n${JSON.stringify(event, null, 2)}\n`,
  )
}

/** Prints events with their texts, one a line, with number and stamp: a copy before they are skipped. */
export async function exportEvents(sidecar: Sidecar, range: Range): Promise<void> {
  for await (const { event, seq, owed } of readEvents(sidecar, range, { whole: true })) {
    await print(`${JSON.stringify({ seq, owed, event })}\n`)
  }
}
