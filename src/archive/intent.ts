import { endIntent, readIntent } from '../store/archive/intent.ts'
import { catchUp } from './chain.ts'
import { archiveDay, type DueDayOptions } from './due-day.ts'
import { manifestNumbers } from './manifest.ts'

/*
 * A manifest whose request is under way when its archiver is overtaken can arrive at any later time. The archiver notes in
 * the database which one it is going to write (archive_intent), and the note goes with its record. A successor, which
 * finds the note, first writes the manifest of that name itself: a name is given once, so either the late one was there
 * before and is taken up, or it is refused whenever it arrives. Nothing else is written for the site before, so the chain
 * cannot fork. Where the place does not give a name once, the lease alone guards (place.limits).
 */

/**
 * What an archiver does before it writes for a site: it takes up what is in the archive and not on record, and settles
 * what may be under way.
 *
 * @throws DayFailure when the archive has another chain, or a day cannot be archived as things are
 */
export async function takeOver(site: string, options: DueDayOptions): Promise<void> {
  await catchUp(site, options)
  await settleIntent(site, options)
}

/** Gives the name away that an archiver before was about to give. */
async function settleIntent(site: string, options: DueDayOptions): Promise<void> {
  const { lease, place } = options
  const intent = await readIntent(lease.reader, site)
  if (!intent) return
  const { day, number } = intent
  // With it the note ends. A name that is there already, of a manifest that was overtaken, cannot be given any more.
  if ((await manifestNumbers(place, day)).includes(number)) await endIntent(lease.store, intent)
  else await archiveDay(day, { ...options, always: true })
}
