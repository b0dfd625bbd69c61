import type { TestContext } from 'node:test'
import { FolderPlace } from '../../src/archive/places/folder.ts'
import type { Place } from '../../src/archive/places/place.ts'
import type { Event } from '../../src/core/event.ts'
import type { Store } from '../../src/store/connect.ts'
import { ingest } from '../../src/store/ingest.ts'
import { freshFolder } from '../support/processes.ts'
import { archived, archivedAll, closedDay, dayAt, eventAt } from './support.ts'

/* A day that came in many parts. */

/** A later event of a job. @param endDay a day of March in which the job has ended then */
const laterOf = ({ entity }: Event, second: number, endDay?: number): Event => ({
  ...eventAt(second, endDay ? { ended_at: dayAt(endDay).from } : { kind: 'error', status: null }),
  entity,
})

/**
 * A day in ten parts of events and of jobs: late events, a job of many versions, one that moved to the day before, and one
 * that moved there and back.
 */
export async function crowdedDay(t: Pick<TestContext, 'after'>, dir = freshFolder()) {
  const first = Array.from({ length: 30 }, (_, i) => eventAt(i))
  const [busy, gone, back] = first as [Event, Event, Event]
  const { store, url } = await closedDay(t, first)
  const place = new FolderPlace(dir)
  await archived(store, place)
  for (let part = 1; part <= 9; part++) {
    const late: Event[] = [eventAt(100 - part), laterOf(busy, 200 + part)]
    if (part === 2) late.push(laterOf(gone, 302, 12), laterOf(back, 352, 12))
    if (part === 4) late.push(laterOf(back, 354, 13))
    await ingest(store, late)
    await archivedAll(store, place)
  }
  return { store, url, dir, place, busy, gone, back }
}

/** Adds nine parts to an archived day: in each an event of a new job, and one of a job that changes every time. */
export async function crowd(store: Store, place: Place, busy: Event): Promise<void> {
  for (let part = 1; part <= 9; part++) {
    await ingest(store, [eventAt(500 + part), laterOf(busy, 600 + part)])
    await archived(store, place)
  }
}
