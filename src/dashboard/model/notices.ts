import { count, number } from '../../../views/format.ts'
import type { Fresh, Notice } from '../../../views/page.ts'
import { withQuery } from '../../../views/urls.ts'
import type { Completeness } from '../../core/job.ts'
import type { MissingSites } from '../../core/sites.ts'

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
