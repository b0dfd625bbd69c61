import type { Micros } from '../../src/core/time.ts'
import { age, count, cut, when } from '../format.ts'
import type { Fresh } from '../page.ts'

type Props = { fresh: Fresh; now: Micros; oob?: boolean }

/** Sites named one by one; the rest is counted. */
const named = 6

/**
 * What a reader must know of where the page comes from: that the API is away, or some of the sites.
 * Empty while all is well. It stands behind the content and sticks to the lower edge of the window,
 * so that it is seen wherever one reads, and moves nothing when it comes. `oob` marks it as a
 * replacement for the one on the page.
 */
export function Outage({ fresh, now, oob = false }: Props) {
  const told = wordsOf(fresh, now)
  return (
    <section
      id="outage"
      class="notices"
      aria-label="Connection"
      {...(oob ? { 'hx-swap-oob': 'outerMorph' } : {})}
    >
      {told === undefined ? null : (
        <div class="banner stale">
          {/* Announced when it comes, and not each time that the age behind it is another. */}
          <b role="status">{told.title}</b>
          <span>{told.detail}</span>
        </div>
      )}
    </section>
  )
}

function wordsOf(fresh: Fresh, now: Micros): { title: string; detail: string } | undefined {
  if (fresh.state === 'partial') return sitesWords(fresh, now)
  if (fresh.state !== 'stale') return undefined
  const why = fresh.reason === undefined ? '' : `${fresh.reason} `
  return {
    title: 'The API does not answer',
    detail:
      fresh.ageS === null
        ? `${why}There is nothing to show yet; this page goes on by itself as soon as it answers.`
        : `${why}These are the last known values, ${age(fresh.ageS)} old; the page goes on by itself as soon as it answers.`,
  }
}

function sitesWords({ total, missing }: Extract<Fresh, { state: 'partial' }>, now: Micros) {
  const names = missing
    .slice(0, named)
    .map(({ id, since }) => `${cut(id, 40)} since ${when(since, now)}`)
  if (missing.length > named) names.push(count(missing.length - named, 'more', 'more'))
  return {
    title:
      missing.length === total
        ? 'No site answers'
        : `${total - missing.length} of ${count(total, 'site')} answer`,
    detail: `Not heard: ${names.join(', ')}. Lists and figures count only the sites that answer.`,
  }
}
