import { AppError, ConfigError } from '../core/errors.ts'
import { printLine } from '../platform/stdout.ts'
import { DayFailure } from './day-failure.ts'
import { addHold, type Hold, type HoldScope, readHolds, releaseHold } from './hold.ts'
import { applyHold, type HoldEffect } from './legal-hold.ts'
import type { Place } from './places/place.ts'

type Who = { reason: string; by: string; json: boolean }

/** `wafermon archive hold add`. The exit code is 1 when part of what it asks for was deleted before. */
export async function runHoldAdd(place: Place, scope: HoldScope, who: Who): Promise<void> {
  await assertPlace(place)
  const hold = await explained(() => addHold(place, scope, who))
  // After it was placed: a deletion that does not see it yet is seen here.
  await show(hold, await applyHold(place, hold, await readHolds(place)), who.json)
}

/** `wafermon archive hold rm`. */
export async function runHoldRelease(place: Place, id: string, who: Who): Promise<void> {
  await assertPlace(place)
  const hold = await explained(() => releaseHold(place, id, who))
  const effect = await applyHold(place, hold, await readHolds(place))
  await show(hold, { ...effect, expired: [] }, who.json)
}

/** `wafermon archive hold ls`. @param all released ones too */
export async function runHoldList(
  place: Place,
  { all, json }: { all: boolean; json: boolean },
): Promise<void> {
  await place.check('read').catch(refuse)
  const holds = (await explained(() => readHolds(place))).filter(
    ({ state }) => all || state === 'held',
  )
  if (json) return printLine(JSON.stringify({ holds }))
  for (const hold of holds) await printLine(toLine(hold))
  const held = holds.filter(({ state }) => state === 'held').length
  await printLine(`${held} holds in force${all ? `, ${holds.length - held} released` : ''}`)
}

const assertPlace = (place: Place) => place.check('write').catch(refuse)

function refuse(error: unknown): never {
  throw error instanceof AppError ? new ConfigError(error.message) : error
}

/** A hold that cannot be read is for an operator; an option that is wrong is the command line's. */
async function explained<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (error instanceof DayFailure) throw new AppError('conflict', error.message)
    throw error instanceof AppError && error.code === 'invalid'
      ? new ConfigError(error.message)
      : error
  }
}

async function show(hold: Hold, effect: HoldEffect, json: boolean): Promise<void> {
  if (effect.expired.length + effect.problems.length > 0) process.exitCode = 1
  if (json) return printLine(JSON.stringify({ hold, ...effect }))
  await printLine(toLine(hold))
  const { days, files, expired, problems } = effect
  if (files !== null) {
    const what = hold.state === 'held' ? 'under legal hold' : 'looked at for their legal hold'
    await printLine(`${days} days, ${files} files ${what}`)
  } else if (hold.key === null) await printLine(`${days} archived days`)
  for (const { site, day, expired: kinds } of expired) {
    for (const [kind, { at, by }] of Object.entries(kinds)) {
      await printLine(`DELETED  ${site} ${day}: ${kind} was deleted at ${at} by ${by}, before this`)
    }
  }
  for (const { path, problem } of problems) await printLine(`PROBLEM  ${path} ${problem}`)
}

function toLine({ id, state, site, from, to, key, reason, by, at }: Hold): string {
  const range = from === null && to === null ? 'all days' : `${from ?? '...'} to ${to ?? '...'}`
  const what = key === null ? '' : `, key ${JSON.stringify(key)}`
  return `${id}  ${state}  ${site ?? 'every site'}, ${range}${what}  ${at.slice(0, 19)}Z ${by}: ${reason}`
}
