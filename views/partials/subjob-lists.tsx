import type { Job } from '../../src/core/job.ts'
import type { Orphans } from '../../src/core/questions/orphans.ts'
import { count, cut, number, when } from '../format.ts'
import { ageOfPart, type Page } from '../page.ts'
import { type Column, DataTable } from './data-table.tsx'
import {
  appColumn,
  elapsedColumn,
  errorColumn,
  keyColumn,
  queueColumn,
  startedColumn,
  statusColumn,
  toolColumn,
} from './jobs-table.tsx'
import { Panel } from './panel.tsx'

/** Subjobs outside their job's page, each with its lot. */
const columns = ({ now, siteQuery }: Page): Column<Job>[] => [
  statusColumn(),
  keyColumn('Subjob', siteQuery),
  { head: 'Lot', class: 'cut', cell: ({ jobKey }) => cut(jobKey ?? '', 40) },
  startedColumn(now),
  queueColumn(now),
  appColumn,
  toolColumn,
  elapsedColumn('Took', now),
  errorColumn('Last error', 120),
]

type FoundProps = { page: Page; subjobs: readonly Job[]; more: boolean }

/** The subjobs that a search found beside the jobs; nothing without one. */
export function FoundSubjobs({ page, subjobs, more }: FoundProps) {
  if (subjobs.length === 0) return null
  const which = more ? `the newest ${number(subjobs.length)}` : count(subjobs.length, 'subjob')
  return (
    <Panel
      title="Subjobs that match"
      oldS={ageOfPart(page, 'subjobs')}
      note={`${which}, also those whose job has not reported`}
    >
      <DataTable caption="Subjobs that match" stack columns={columns(page)} rows={subjobs} />
    </Panel>
  )
}

/** Subjobs whose job has not reported: counted by app, and the newest. With `cut` there are more than were counted. */
export type OrphansView = { counts: readonly Orphans[]; cut: boolean; newest: readonly Job[] }

export function OrphansPanel({ page, orphans }: { page: Page; orphans: OrphansView }) {
  const { counts, cut: isCut, newest } = orphans
  const total = counts.reduce((sum, { subjobs }) => sum + subjobs, 0)
  const least = isCut ? 'at least ' : ''
  if (total === 0 && !isCut) {
    return (
      <Panel title="Subjobs without a job">
        <p class="empty">No subjob has been without its job for over 10 minutes.</p>
      </Panel>
    )
  }
  return (
    <Panel
      title="Subjobs without a job"
      note={`${least}${count(total, 'subjob')} whose job has not reported within 10 minutes`}
    >
      <DataTable
        caption="Subjobs without a job, by app"
        columns={countColumns(page, least)}
        rows={counts.slice(0, appsShown)}
      />
      <details class="data" id="orphans">
        <summary>{`The newest ${number(newest.length)} of ${least}${number(total)}`}</summary>
        <DataTable
          caption="Newest subjobs without a job"
          stack
          columns={columns(page)}
          rows={newest}
        />
      </details>
    </Panel>
  )
}

const appsShown = 20

const countColumns = ({ now }: Page, least: string): Column<Orphans>[] => [
  { head: 'App', rowHeader: true, class: 'k cut', cell: ({ appName }) => cut(appName, 60) },
  { head: 'Site', cell: ({ siteId }) => siteId },
  { head: 'Subjobs', number: true, cell: ({ subjobs }) => `${least}${number(subjobs)}` },
  { head: 'Newest started', cell: ({ newestStartedAt }) => when(newestStartedAt, now) },
]
