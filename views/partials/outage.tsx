import type { Micros } from '../../src/core/time.ts'
import { age, count, cut, when } from '../format.ts'
import type { Fresh } from '../page.ts'

type Props = { fresh: Fresh; now: Micros; oob?: boolean }

/** Sites named individually; the rest is counted. */
const named = 6

/**
 * Says that the API is away, or some of the sites, or that it does not answer all of the page; empty while all answer. It comes after the
 * content and sticks to the lower edge of the window, so it is seen wherever the reader is, and
 * moves nothing when it appears. `oob` marks it as a replacement for the one on the page.
 */
export function Outage({ fresh, now, oob = false }: Props) {
  const words = describe(fresh, now)
  return (
    <section
      id="outage"
      class="notices"
      aria-label="Connection"
      {...(oob ? { 'hx-swap-oob': 'outerMorph' } : {})}
    >
      {words === undefined ? null : (
        <div class="banner stale">
          {/* Announced when it appears, not each time the age after it changes. */}
          <b role="status">{words.title}</b>
          <span>{words.detail}</span>
        </div>
      )}
    </section>
  )
}

function describe(fresh: Fresh, now: Micros): { title: string; detail: string } | undefined {
  if (fresh.state === 'partial') return describeSites(fresh, now)
  if (fresh.state === 'behind') return describeBehind(fresh)
  if (fresh.state !== 'stale') return undefined
  const why = fresh.reason === undefined ? '' : `${fresh.reason} `
  return {
    title: 'The API is not answering',
    detail:
      fresh.ageS === null
        ? `${why}There is nothing to show yet. This page updates by itself as soon as the API answers.`
        : `${why}These are the last known values, ${age(fresh.ageS)} old. The page updates by itself as soon as the API answers.`,
  }
}

function describeBehind({ whole, ageS, reason }: Extract<Fresh, { state: 'behind' }>) {
  const what = whole ? 'This page' : 'Part of this page'
  const shown = ageS === null ? 'was never answered' : `is ${age(ageS)} old`
  return {
    title: `${what} is not current`,
    detail: `${reason} What that concerns ${shown}; the API answers other questions.`,
  }
}

function describeSites({ total, missing }: Extract<Fresh, { state: 'partial' }>, now: Micros) {
  const names = missing
    .slice(0, named)
    .map(({ id, since }) => `${cut(id, 40)} since ${when(since, now)}`)
  if (missing.length > named) names.push(count(missing.length - named, 'more', 'more'))
  return {
    title:
      missing.length === total
        ? 'No site is answering'
        : `Only ${total - missing.length} of ${count(total, 'site')} answering`,
    detail: `No contact: ${names.join(', ')}. Lists and figures cover only the sites that answer.`,
  }
}
