import { type EndStatus, endStatuses, type Job } from '../../src/core/job.ts'
import { jobName } from '../job-text.ts'
import type { Page } from '../page.ts'
import { OperatorForm, type OperatorFormView } from '../partials/operator-form.tsx'
import { Status, shownStatus } from '../partials/status.tsx'
import { jobClosePath, jobPath } from '../urls.ts'

export type CloseView = OperatorFormView & {
  id: string
  /** Undefined when the API is away. */
  job: Job | undefined
  status: EndStatus
}

/** Says what closing means, and asks how the job ended and for a reason. */
export function CloseBody({ page, view }: { page: Page; view: CloseView }) {
  const { id, job, status } = view
  const site = page.siteQuery
  return (
    <>
      <div class="head">
        <h1>Close {job === undefined ? id : jobName(job, 60)}</h1>
        {job === undefined ? null : <Status of={shownStatus(job)} />}
      </div>
      <OperatorForm
        view={view}
        about="The job ends with its last event, as if its program had said so. It stays in all lists. Closed as unknown, it takes the end that its program may still report. Who, when and why are kept."
        action={jobClosePath(id, site)}
        back={jobPath(id, site)}
        verb="Close the job"
      >
        <label>
          <span>It ended</span>
          <select name="status">
            {endStatuses.toReversed().map((one) => (
              <option value={one} selected={one === status}>
                {one === 'unknown' ? 'unknown: how is not known' : one}
              </option>
            ))}
          </select>
        </label>
      </OperatorForm>
    </>
  )
}
