import type { Source } from '../../src/core/questions/sources.ts'
import { count, cut } from '../format.ts'
import type { Page } from '../page.ts'
import { OperatorForm, type OperatorFormView } from '../partials/operator-form.tsx'
import { describeFaults } from '../partials/sidecars.tsx'
import { withQuery } from '../urls.ts'

export type AcceptView = OperatorFormView & {
  /** Every opening of one spool that shows a loss, and the present one; undefined when the API is away. */
  sources: readonly Source[] | undefined
  id: string
  /** Events that the person is shown as missing. */
  missing: number
}

const Missing = ({ count: n }: { count: number }) => (
  <>
    {count(n, 'missing event')} of this source will no longer count as missing. They stay in the
    ledger, as accepted; one that arrives later counts as received.{' '}
  </>
)

/** Asks once more, with what is lost and what it means, and for a reason. */
export function AcceptBody({ page, view }: { page: Page; view: AcceptView }) {
  const { sources = [], id, missing } = view
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
      <OperatorForm
        view={view}
        about={
          <>
            {missing === 0 ? null : <Missing count={missing} />}A source that is silent is retired,
            with what may still be in its spool; it comes back by itself when it reports again. Who,
            when and why are kept.
          </>
        }
        action={withQuery('/pipeline/accept', { site })}
        back={withQuery('/pipeline', { site })}
        verb="Accept the loss"
      >
        <input type="hidden" name="source" value={id} />
        <input type="hidden" name="missing" value={String(missing)} />
      </OperatorForm>
    </>
  )
}
