import { count, number, when } from '../../../views/format.ts'
import type { Fresh, Notice } from '../../../views/page.ts'
import { withQuery } from '../../../views/urls.ts'
import type { Completeness } from '../../core/job.ts'
import type { MissingSites } from '../../core/sites.ts'
import type { Micros } from '../../core/time.ts'
import { toSentence } from './error-text.ts'

/** Sources named individually; the rest is counted. */
const named = 3

/** Silent sidecars, known gaps and wrong clocks of a list, in words; empty when none are known. */
export function completenessNotices(
  completeness: Completeness | undefined,
  site: string | undefined,
): Notice[] {
  if (completeness === undefined) return []
  const notices: Notice[] = []
  const link = { href: withQuery('/pipeline', { site }), text: 'Pipeline' }
  const { gaps, missing, skewedSources, silentSources, sourcesSilent } = completeness
  if (sourcesSilent > 0) {
    notices.push({
      kind: 'stale',
      title: `${joinNames(silentSources, sourcesSilent)} ${sourcesSilent === 1 ? 'is' : 'are'} silent`,
      detail: 'How many events wait there is not known. Rows and figures may be incomplete.',
      link,
    })
  }
  if (gaps.length > 0) {
    const sources = [...new Set(gaps.map(({ source }) => source))]
    notices.push({
      kind: 'stale',
      title: `${count(missing, 'event')} from ${joinNames(sources)} ${missing === 1 ? 'is' : 'are'} missing`,
      detail: 'Rows and figures may still change when they arrive.',
      link,
    })
  }
  if (skewedSources.length > 0) {
    notices.push({
      kind: 'stale',
      // Of the sidecar or of a program that sends to it: the pipeline page says which.
      title: `${skewedSources.length === 1 ? 'A clock' : 'Clocks'} at ${joinNames(skewedSources)} ${skewedSources.length === 1 ? 'is' : 'are'} off`,
      detail: 'Times from there are approximate.',
      link,
    })
  }
  return notices
}

/** A page that an archive is a part of. */
type Searched = {
  completeness: Completeness | undefined
  /** Of a list: from when on rows belong to it; null: from the first one on. */
  from?: Micros | null
  now: Micros
  /** Address of the same page with the archive. */
  href: string
  /** Address of the next page, when this one ends where the search of the archive did. */
  further?: string | undefined
}

/** What an answer has from the archive, what it could have, and what was not looked at; empty when it needs none. */
export function archiveNotices({ completeness, from, now, href, further }: Searched): Notice[] {
  if (completeness === undefined) return []
  const { archive, hotFrom, archiveMissing, archiveSearchedFrom } = completeness
  const notices: Notice[] = archiveMissing.slice(0, named).map(({ from: start, to, why }) => ({
    kind: 'stale',
    title: `Not looked at: ${when(start, now)} to ${when(to, now)}`,
    detail: toSentence(why),
    ...(archive === 'available' ? { link: { href, text: searchText } } : {}),
  }))
  const more = archiveMissing.length - notices.length
  if (more > 0) {
    notices.push({
      ...{ kind: 'stale', title: `${count(more, 'other range')} not looked at` },
      detail: 'The API names each in completeness.archive_missing.',
    })
  }
  const isOlder = hotFrom !== null && from !== undefined && (from === null || from < hotFrom)
  if (archive === 'available' && isOlder && archiveMissing.length === 0) {
    notices.push({
      ...{ kind: 'stale', title: 'Older days are in the archive' },
      detail: `This page shows what the hot store has, since ${when(hotFrom, now)}.`,
      link: { href, text: searchText },
    })
  }
  if (archive === 'used' && further !== undefined && archiveSearchedFrom !== null) {
    notices.push({
      ...{ kind: 'stale', title: 'The archive was searched in part' },
      detail: `This page reaches back to ${when(archiveSearchedFrom, now)}.`,
      link: { href: further, text: 'Search on' },
    })
  }
  return notices
}

const searchText = 'Search there'

/** The sites that are missing from an answer of the page. Empty where the page names each already, because it is live. */
export function sitesNotices(sites: MissingSites | undefined, fresh: Fresh): Notice[] {
  const { total, missing } = sites ?? { total: 0, missing: [] }
  const told = fresh.state === 'partial' ? fresh.missing.map(({ id }) => id) : []
  if (missing.every((site) => told.includes(site))) return []
  return [
    {
      kind: 'stale',
      title: `${number(total - missing.length)} of ${count(total, 'site')} answered`,
      detail: `Missing: ${joinNames(missing)}. Rows and figures cover the other sites only.`,
    },
  ]
}

/** @param all how many there are, where not all have a name here */
function joinNames(sources: readonly string[], all = sources.length): string {
  const first = sources.slice(0, named)
  const more = all - first.length
  return more > 0 ? `${first.join(', ')} and ${number(more)} more` : first.join(', ')
}
