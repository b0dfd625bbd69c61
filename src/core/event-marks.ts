import type { Event } from './event.ts'
import { type Kind, kinds } from './kinds.ts'

/*
 * What a spool keeps of an event beside its text, so that nobody parses it to choose. Rows on disk have
 * these numbers: they do not change, and a new kind of event comes at the end of its list.
 */

/** `lane`: events of one job have the same; `eventClass`: kind and entity type. -1: not known. */
export type Marks = { readonly lane: number; readonly eventClass: number }

export type EventClass = { kind: Kind; entity: 'job' | 'subjob' }

export const noMarks: Marks = { lane: -1, eventClass: -1 }

/** An event as far as it is needed here: it may come from a damaged disk. */
type Marked = { entity?: Partial<Event['entity']> | null; event?: Partial<Event['event']> | null }

/** The id of the job that an event belongs to; of a subjob, that of its parent. */
export function jobIdOf(event: Marked | undefined): string | undefined {
  const entity = event?.entity
  const id = (entity?.type === 'subjob' ? entity.parent_id : undefined) ?? entity?.id
  return typeof id === 'string' ? id : undefined
}

/** @returns in `lane` a number from 0 on; ids end in random digits */
export function toMarks(event: Marked | undefined): Marks {
  const entity = event?.entity
  const isSubjob = entity?.type === 'subjob'
  const id = jobIdOf(event)
  const lane = id ? id.charCodeAt(id.length - 1) : -1
  const kind = kinds.indexOf(event?.event?.kind as Kind)
  return { lane, eventClass: kind < 0 || !entity ? -1 : kind * 2 + Number(isSubjob) }
}

/** Kind and entity type of a class; undefined where it is not known. */
export function readClass(eventClass: number): EventClass | undefined {
  const kind = kinds[Math.floor(eventClass / 2)]
  return kind && { kind, entity: eventClass % 2 === 0 ? 'job' : 'subjob' }
}
