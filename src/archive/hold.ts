import { randomBytes } from 'node:crypto'
import * as z from 'zod'
import { AppError } from '../core/errors.ts'
import { ensure } from '../core/must.ts'
import { siteIdMessage, siteIdPattern } from '../core/site-id.ts'
import { clock } from '../platform/clock.ts'
import { DayFailure } from './day-failure.ts'
import type { DayKey } from './layout.ts'
import { parseManifest, time } from './manifest-file.ts'
import { collect, textChunks } from './places/content.ts'
import type { Place } from './places/place.ts'

/*
 * Holds: what must not be deleted for its age. They lie in the archive itself, so they outlive the database and every
 * machine that may delete sees the same:
 *
 *   _hold/<id>/00001.json     placed; the greatest number counts
 *   _hold/<id>/00002.json     released
 *
 * - A name is given once, so none is ever changed or removed: who placed a hold, who released it, when and why, stays.
 * - What cannot be read below _hold holds everything: nothing is deleted for its age until it is understood.
 */

/** All holds lie below it. Engines skip names that begin with an underscore. */
export const holdFolder = '_hold'

const shape = z.object({
  version: z.literal(1),
  id: z.string(),
  number: z.int().positive(),
  state: z.enum(['held', 'released']),
  /** Null: every site. */
  site: z.string().nullable(),
  /** The first and the last day; null: from the beginning, and without an end. */
  from: z.iso.date().nullable(),
  to: z.iso.date().nullable(),
  /** Only days with something of this business key or sub key; null: all days. */
  key: z.string().nullable(),
  reason: z.string(),
  by: z.string(),
  at: time,
})

/** A hold as it counts now. */
export type Hold = z.infer<typeof shape>
/** What is to be held. */
export type HoldScope = Pick<Hold, 'site' | 'from' | 'to' | 'key'>

const namePattern = /^_hold\/([a-z0-9-]+)\/(\d{5})\.json$/
const pathOf = (id: string, number: number) =>
  `${holdFolder}/${id}/${String(number).padStart(5, '0')}.json`

/** The name under which a hold was placed. */
export const holdPath = ({ id }: Hold) => pathOf(id, 1)

/** Holds that were read before, by path: none is ever changed. */
export type KnownHolds = Map<string, Hold>

/** All holds, released ones too, in the order of their ids. @throws DayFailure for one that cannot be read */
export async function readHolds(place: Place, known: KnownHolds = new Map()): Promise<Hold[]> {
  const newest = new Map<string, number>()
  for await (const path of place.list(holdFolder)) {
    const [, id, number] = namePattern.exec(path) ?? []
    if (id === undefined) throw unreadable(path, 'is not the name of a hold')
    newest.set(id, Math.max(newest.get(id) ?? 0, Number(number)))
  }
  const holds: Hold[] = []
  for (const [id, number] of newest) {
    const path = pathOf(id, number)
    const hold = known.get(path) ?? (await readOne(place, id, number))
    known.set(path, hold)
    holds.push(hold)
  }
  return holds
}

async function readOne(place: Place, id: string, number: number): Promise<Hold> {
  const path = pathOf(id, number)
  const content = await place.read(path)
  if (!content) throw unreadable(path, 'is gone')
  const hold = parseManifest(shape, (await collect(content.chunks())).toString('utf8'))
  if (typeof hold === 'string') throw unreadable(path, hold.replace('a manifest', 'a hold'))
  if (hold.id !== id || hold.number !== number) throw unreadable(path, `belongs to ${hold.id}`)
  return hold
}

const unreadable = (path: string, what: string) =>
  new DayFailure(
    `${path} ${what}, so it may hold anything: restore it from a copy, or move it away if it is not ours`,
  )

/** True for a hold in force whose site and range a day is of, whatever its key. */
export const mayHold = (hold: Hold, { site, from }: DayKey): boolean => {
  const day = from.slice(0, 10)
  return (
    hold.state === 'held' &&
    (hold.site === null || hold.site === site) &&
    (hold.from === null || hold.from <= day) &&
    (hold.to === null || day <= hold.to)
  )
}

/**
 * Places a hold.
 *
 * @throws AppError invalid, naming the option, when the scope is none
 */
export async function addHold(
  place: Place,
  scope: HoldScope,
  { reason, by }: { reason: string; by: string },
): Promise<Hold> {
  assertScope(scope)
  assertReason(reason)
  const at = clock.now()
  // It begins with the day, so that a list is in the order of time.
  const id = `${at.slice(0, 10).replaceAll('-', '')}-${randomBytes(4).toString('hex')}`
  const { site, from, to, key } = scope
  return write(place, {
    ...{ version: 1, id, number: 1, state: 'held', site, from, to, key, reason, by, at },
  })
}

function assertReason(reason: string): void {
  if (reason.trim() !== '') return
  throw new AppError('invalid', '--reason: must not be empty; say why', { field: '--reason' })
}

function assertScope({ site, from, to, key }: HoldScope): void {
  const refuse = (field: string, why: string) => {
    throw new AppError('invalid', `${field}: ${why}`, { field })
  }
  if (site !== null && !siteIdPattern.test(site)) refuse('--site', siteIdMessage)
  for (const [field, day] of [
    ['--from', from],
    ['--to', to],
  ] as const) {
    if (day === null || z.iso.date().safeParse(day).success) continue
    refuse(field, `${JSON.stringify(day)} is not a day; write it as 2026-03-01`)
  }
  if (from !== null && to !== null && from > to) {
    refuse('--to', `${to} lies before --from ${from}; exchange them`)
  }
  if (key?.trim() === '') refuse('--key', 'must not be empty; leave it out to hold whole days')
}

/**
 * Releases a hold: it stays to be read, and holds no more.
 *
 * @throws AppError not_found, or conflict when it was released before
 */
export async function releaseHold(
  place: Place,
  id: string,
  { reason, by }: { reason: string; by: string },
): Promise<Hold> {
  assertReason(reason)
  const holds = await readHolds(place)
  const hold = holds.find((one) => one.id === id)
  if (!hold) {
    const message = `there is no hold ${JSON.stringify(id)}; wafermon archive hold ls shows their ids`
    throw new AppError('not_found', message)
  }
  if (hold.state === 'released') {
    throw new AppError('conflict', `hold ${id} was released at ${hold.at} by ${hold.by}`)
  }
  const number = hold.number + 1
  return write(place, { ...hold, number, state: 'released', reason, by, at: clock.now() })
}

async function write(place: Place, hold: Hold): Promise<Hold> {
  ensure(shape.safeParse(hold).success, 'a hold that is written can be read')
  const text = `${JSON.stringify(hold, null, 2)}\n`
  const staged = await place.stage(`hold/${hold.id}.json`, textChunks(text))
  await place.putOnce(pathOf(hold.id, hold.number), staged)
  return hold
}

/** `hold 20261128-3f9a2c01 (litigation)` */
export const describeHold = ({ id, reason, key }: Hold): string =>
  `hold ${id}${key === null ? '' : ` of ${JSON.stringify(key)}`} (${reason})`
