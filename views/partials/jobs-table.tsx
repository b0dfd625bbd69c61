import type { Job } from '../../src/core/job.ts'
import type { Micros } from '../../src/core/time.ts'
import { JobRow } from './job-row.tsx'
import { Scroll } from './scroll.tsx'

type Props = {
  jobs: readonly Job[]
  now: Micros
  site: string | undefined
  caption: string
  /** The column that orders the rows, and where its heading leads. */
  sorted?: { direction: 'ascending' | 'descending'; href: string } | undefined
  /** Keeps the heading in sight. */
  stick?: boolean
}

export function JobsTable({ jobs, now, site, caption, sorted, stick = false }: Props) {
  return (
    <Scroll label={`${caption}, table`}>
      <table class={stick ? 't stick stack jobs' : 't stack jobs'}>
        <caption class="vh">{caption}</caption>
        <thead>
          <tr>
            <th scope="col">Status</th>
            <th scope="col">Key</th>
            {sorted === undefined ? (
              <th scope="col">Started</th>
            ) : (
              <th scope="col" aria-sort={sorted.direction}>
                <a href={sorted.href}>Started</a>
              </th>
            )}
            <th scope="col">App</th>
            <th scope="col">Tool</th>
            <th scope="col">Recipe</th>
            <th scope="col" class="n">
              Duration
            </th>
            <th scope="col">against usual</th>
            <th scope="col" class="n">
              Done
            </th>
            <th scope="col" class="n">
              CPU s
            </th>
            <th scope="col" class="n">
              Memory MiB
            </th>
            <th scope="col">Last error</th>
          </tr>
        </thead>
        <tbody>
          {jobs.map((job) => (
            <JobRow job={job} now={now} site={site} />
          ))}
        </tbody>
      </table>
    </Scroll>
  )
}
