import type { Source } from '../../src/core/questions/sources.ts'
import { count, cut } from '../format.ts'
import type { Page } from '../page.ts'
import { Panel } from '../partials/panel.tsx'
import { describeFaults } from '../partials/sidecars.tsx'
import { withQuery } from '../urls.ts'

export type AcceptView = {
  /** Every opening of one spool that shows a loss, and the present one; undefined when the API is away. */
  sources: readonly Source[] | undefined
  id: string
  /** Events that the person is shown as missing. */
  missing: number
  /** What was wrong with the form, and what was in it. */
  problem: string | undefined
  reason: string
  by: string
}

const Missing = ({ count: n }: { count: number }) => (
  <>
    {count(n, 'missing event')} of this source will no longer count as missing. They stay in the
    ledger, as accepted; one that arrives later counts as received.{' '}
  </>
)

/** Asks once more, with what is lost and what it means, and for a reason. */
export function AcceptBody({ page, view }: { page: Page; view: AcceptView }) {
  const { sources = [], id, problem, reason, by, missing } = view
  const site = page.siteQuery
  return (
    <>
      <div class="head">
        <h1>Accept the loss of {cut(id, 60)}</h1>
        <small>
          {sources
            .map((source) => describeFaults(source, page.now))
            .filter(Boolean)
            .join('; ')}
        </small>
      </div>
      <Panel title="What this does" class="w8">
        <p>
          {missing === 0 ? null : <Missing count={missing} />}A source that is silent is retired,
          with what may still be in its spool; it comes back by itself when it reports again. Who,
          when and why are kept.
        </p>
        {problem === undefined ? null : (
          <p class="banner" role="alert">
            <b>{problem}</b>
          </p>
        )}
        <form class="accept" method="post" action={withQuery('/pipeline/accept', { site })}>
          <input type="hidden" name="source" value={id} />
          <input type="hidden" name="missing" value={String(missing)} />
          <label>
            <span>Reason</span>
            <input name="reason" required maxlength={500} value={reason} />
          </label>
          <label>
            <span>Your name</span>
            <input name="by" maxlength={80} value={by} />
          </label>
          <button class="btn go" type="submit">
            Accept the loss
          </button>{' '}
          <a class="btn" href={withQuery('/pipeline', { site })}>
            Cancel
          </a>
        </form>
      </Panel>
    </>
  )
}
