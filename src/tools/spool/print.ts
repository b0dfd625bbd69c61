import { print } from '../../platform/stdout.ts'
import type { Sidecar } from '../sidecar.ts'
import { grouped, table } from '../table.ts'
import {
  dropReject,
  listRejects,
  type Reject,
  retryReject,
  showReject,
  unlessGone,
} from './rejects.ts'
import { spoolStatus, withSink } from './status.ts'

/** The list of rejects, of one sink when it is named; on a terminal it says when there are more than are shown. */
export async function printList(
  sidecar: Sidecar,
  { limit, sink, json }: { limit: number; sink?: string | undefined; json: boolean },
): Promise<void> {
  const rows = await listRejects(sidecar, { limit, sink })
  if (json) return print(rows.map((row) => `${JSON.stringify(row)}\n`).join(''))
  if (rows.length === 0) return print('no rejects\n')
  const titles = ['ID', 'REFUSED AT', 'SINK', 'SEQ', 'FIELD', 'REASON']
  await print(`${table([titles, ...rows.map(cells)])}\n`)
  const { sinks } = withSink(await spoolStatus(sidecar), sink)
  const total = Object.values(sinks).reduce((sum, { rejects }) => sum + rejects, 0)
  if (total > rows.length) {
    process.stderr.write(`${grouped(rows.length)} of ${grouped(total)}; --limit shows more\n`)
  }
}

const cells = ({ id, rejected_at, sink, seq, field, detail }: Reject): string[] => [
  String(id),
  `${rejected_at.slice(0, 19)}Z`,
  sink,
  String(seq),
  field,
  detail,
]

/** One reject, with its event. */
export async function printOne(sidecar: Sidecar, id: number, json: boolean): Promise<void> {
  const whole = await showReject(sidecar, id)
  if (json) return print(`${JSON.stringify(whole)}\n`)
  const { event, ...reject } = whole
  const head = table(Object.entries(reject).map(([name, value]) => [name, String(value)]))
  await print(`${head}\n\n${JSON.stringify(event, null, 2)}\n`)
}

/** All rejects with their events, one a line; one that another operator retries meanwhile is left out. */
export async function printAll(sidecar: Sidecar, sink?: string): Promise<void> {
  for (const { id } of await listRejects(sidecar, { sink })) {
    const whole = await showReject(sidecar, id).catch(unlessGone)
    if (whole) await print(`${JSON.stringify(whole)}\n`)
  }
}

/** Rejects with these ids; or without ids all, of one sink when it is named. */
export type Chosen = { ids: readonly number[] } | { sink: string | undefined }

/**
 * Offers rejects again, the oldest first; all that exist now unless ids are given. An event that is
 * refused again becomes a new reject and is not offered twice. Exit code 1 when an id does not exist.
 */
export async function retryAll(sidecar: Sidecar, chosen: Chosen, json: boolean): Promise<void> {
  const ids =
    'ids' in chosen
      ? chosen.ids
      : (await listRejects(sidecar, { sink: chosen.sink })).map(({ id }) => id).reverse()
  const missing: number[] = []
  for (const id of ids) {
    const there = await retryReject(sidecar, id).then(() => true, unlessGone)
    if (!there) missing.push(id)
  }
  const retried = ids.length - missing.length
  if (missing.length > 0) process.exitCode = 1
  if (json) return print(`${JSON.stringify({ retried, missing })}\n`)
  await print(`offered again: ${grouped(retried)}\n`)
  for (const id of missing) process.stderr.write(`there is no reject ${id}\n`)
}

/**
 * Deletes rejects permanently: those with the given ids, or all up to one that the operator has seen. Exit
 * code 1 when an id does not exist.
 */
export async function dropAll(
  sidecar: Sidecar,
  given: { ids: readonly number[] } | { upTo: number; sink?: string | undefined },
  json: boolean,
): Promise<void> {
  const missing: number[] = []
  let dropped = 0
  const ids = 'upTo' in given ? [given.upTo] : given.ids
  for (const id of ids) {
    const range = 'upTo' in given ? { from: 1, to: id, sink: given.sink } : { from: id, to: id }
    const count = await dropReject(sidecar, range).catch(unlessGone)
    dropped += count ?? 0
    if (count === undefined) missing.push(id)
  }
  if (missing.length > 0) process.exitCode = 1
  if (json) return print(`${JSON.stringify({ dropped, missing })}\n`)
  await print(`dropped: ${grouped(dropped)}\n`)
  for (const id of missing) process.stderr.write(`${noReject(id, 'upTo' in given)}\n`)
}

const noReject = (id: number, orBefore: boolean) =>
  `there is no reject ${id}${orBefore ? ' or before it' : ''}`
