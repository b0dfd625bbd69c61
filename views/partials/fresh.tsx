import { type Micros, secondsBetween } from '../../src/core/time.ts'
import { age, clock, count, hourMinute, zoneFull, zoneShort } from '../format.ts'
import type { Fresh, Plant } from '../page.ts'

type Props = { fresh: Fresh; plant: Plant; now: Micros; oob?: boolean }

/** A plant of which nothing was heard for longer is not called live. */
const quietS = 30

/**
 * At the top right of every page, in two words of their own: what is heard from the plant, and how the
 * page is connected to it. Screen readers do not announce it: it changes every few seconds. `oob`
 * marks it as a replacement for the one on the page.
 */
export function Freshness({ fresh, plant, now, oob = false }: Props) {
  const { state } = fresh
  return (
    <span
      id="fresh"
      aria-live="off"
      data-state={state === 'behind' && !fresh.whole ? 'part' : state}
      class={state === 'live' || state === 'loaded' ? 'fresh' : 'fresh stale'}
      {...(oob ? { 'hx-swap-oob': 'outerHTML' } : {})}
    >
      <span id="plant">{describePlant(fresh, plant, now)}</span>{' '}
      {state === 'loaded' ? null : <span id="link">{describeLink(fresh)}</span>}
    </span>
  )
}

function describePlant(fresh: Fresh, plant: Plant, now: Micros): string {
  const { lastEventAt, silentSidecars } = plant
  if (fresh.state === 'loaded') return `As of ${clock(now)}`
  if (lastEventAt === undefined) return 'Last event not known'
  const silentS = lastEventAt === null ? null : Math.max(0, secondsBetween(lastEventAt, now))
  const last = silentS === null ? 'no event yet' : `last event ${age(silentS)} ago`
  if (fresh.state === 'partial') {
    const { total, missing } = fresh
    return `Partial, ${total - missing.length} of ${count(total, 'site')}, ${last}`
  }
  if (silentS === null) return fresh.state === 'stale' ? 'Last event not known' : 'No event yet'
  if (fresh.state === 'stale') return `Last known event ${age(silentS)} ago`
  if (silentSidecars > 0) return `${count(silentSidecars, 'sidecar')} silent, ${last}`
  return `${silentS > quietS ? 'Quiet' : 'Live'}, ${last}`
}

function describeLink(fresh: Fresh): string {
  if (fresh.state === 'behind') {
    const what = fresh.whole ? 'this page' : 'part of this page'
    return fresh.ageS === null ? `${what} has no answer` : `${what} is ${age(fresh.ageS)} old`
  }
  if (fresh.state !== 'stale') return 'connected'
  return fresh.ageS === null ? 'not connected' : `stale, ${age(fresh.ageS)}`
}

/** The zone of all times, at the foot: its offset changes while a page is open. */
export function ZoneName({ now, oob = false }: { now: Micros; oob?: boolean }) {
  return (
    <span id="zone" {...(oob ? { 'hx-swap-oob': 'outerHTML' } : {})}>
      Times are in the server's zone, {zoneFull(now)}
    </span>
  )
}

/** The clock beside it, with the zone; to the minute, so that it does not distract. */
export function Clock({ now, oob = false }: { now: Micros; oob?: boolean }) {
  return (
    <time id="clock" datetime={now} {...(oob ? { 'hx-swap-oob': 'outerHTML' } : {})}>
      {hourMinute(now)} {zoneShort(now)}
    </time>
  )
}
