import { count, number } from '../../../views/format.ts'
import type { Fresh, Notice } from '../../../views/page.ts'
import { withQuery } from '../../../views/urls.ts'
import type { Completeness, JobPage } from '../../core/job.ts'

/** Sources named one by one. */
const named = 3

/** What a list may be missing, in words; nothing when it is complete as far as anybody knows. */
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
      title: `${count(missing, 'event')} of ${namesOf(sources)} ${missing === 1 ? 'is' : 'are'} missing`,
      detail: 'Rows and figures may still change when they arrive.',
      link,
    })
  }
  if (skewedSources.length > 0) {
    notices.push({
      kind: 'stale',
      title: `The clock of ${namesOf(skewedSources)} is off`,
      detail: 'Times from there are not exact.',
      link,
    })
  }
  return notices
}

/** Which sites a list is made without. Nothing where the page says it already, being followed. */
export function sitesNotices({ sites }: Partial<JobPage>, fresh: Fresh): Notice[] {
  if (!sites || sites.missing.length === 0 || fresh.state === 'partial') return []
  const { total, missing } = sites
  return [
    {
      kind: 'stale',
      title: `${number(total - missing.length)} of ${count(total, 'site')} answered`,
      detail: `Missing: ${namesOf(missing)}. Rows and figures are of the others only.`,
    },
  ]
}

function namesOf(sources: readonly string[]): string {
  const first = sources.slice(0, named).join(', ')
  return sources.length > named ? `${first} and ${number(sources.length - named)} more` : first
}
