import type { Micros } from '../../src/core/time.ts'
import { age, clock, count, hourMinute, zoneShort } from '../format.ts'
import type { Fresh } from '../page.ts'

type Props = { fresh: Fresh; now: Micros; oob?: boolean }

/**
 * How current the page is, at the top right of every page. Screen readers do not announce it: it
 * changes every few seconds. `oob` marks it as a replacement for the one on the page.
 */
export function Freshness({ fresh, now, oob = false }: Props) {
  return (
    <span
      id="fresh"
      aria-live="off"
      class={fresh.state === 'stale' || fresh.state === 'partial' ? 'fresh stale' : 'fresh'}
      {...(oob ? { 'hx-swap-oob': 'outerHTML' } : {})}
    >
      {describe(fresh, now)}
    </span>
  )
}

function describe(fresh: Fresh, now: Micros): string {
  if (fresh.state === 'live') return `Live, ${age(fresh.ageS)} old`
  if (fresh.state === 'partial') {
    const { total, missing, ageS } = fresh
    return `Partial, ${total - missing.length} of ${count(total, 'site')}, ${age(ageS)} old`
  }
  if (fresh.state === 'loaded') return `As of ${clock(now)}`
  return fresh.ageS === null ? 'Not live' : `Stale, ${age(fresh.ageS)} old`
}

/** The clock beside it, with the zone; to the minute, so that it does not distract. */
export function Clock({ now, oob = false }: { now: Micros; oob?: boolean }) {
  return (
    <time id="clock" datetime={now} {...(oob ? { 'hx-swap-oob': 'outerHTML' } : {})}>
      {hourMinute(now)} {zoneShort(now)}
    </time>
  )
}
