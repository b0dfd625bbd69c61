import { count, number } from '../../../views/format.ts'
import type { Fresh, Notice } from '../../../views/page.ts'
import { withQuery } from '../../../views/urls.ts'
import type { Completeness, JobPage } from '../../core/job.ts'

/** Sources named individually; the rest is counted. */
const named = 3

/** Known gaps and wrong clocks of a list, in words; empty when none are known. */
export function completenessNotices(
  completeness: Completeness | undefined,
  site: string | undefined,
): Notice[] {
  if (completeness === undefined) return []
  const notices: Notice[] = []
  const link = { href: withQuery('/pipeline', { site }), text: 'Pipeline' }
  const { gaps, skewedSources } = completeness
  if (gaps.length > 0) {
    const missing = gaps.reduce((sum, { from, to }) => sum + to - from + 1, 0)
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
      title: `${skewedSources.length === 1 ? 'The clock' : 'The clocks'} of ${joinNames(skewedSources)} ${skewedSources.length === 1 ? 'is' : 'are'} off`,
      detail: 'Times from there are approximate.',
      link,
    })
  }
  return notices
}

/** The sites that a list is missing. Empty where the page says so already, because it is live. */
export function sitesNotices({ sites }: Partial<JobPage>, fresh: Fresh): Notice[] {
  if (!sites || sites.missing.length === 0 || fresh.state === 'partial') return []
  const { total, missing } = sites
  return [
    {
      kind: 'stale',
      title: `${number(total - missing.length)} of ${count(total, 'site')} answered`,
      detail: `Missing: ${joinNames(missing)}. Rows and figures cover the other sites only.`,
    },
  ]
}

function joinNames(sources: readonly string[]): string {
  const first = sources.slice(0, named).join(', ')
  return sources.length > named ? `${first} and ${number(sources.length - named)} more` : first
}
