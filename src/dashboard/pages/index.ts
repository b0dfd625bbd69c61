import type { DashboardPage } from '../define-page.tsx'
import { jobPage } from './job.tsx'
import { jobsPage } from './jobs.tsx'
import { overviewPage } from './overview.tsx'
import { pipelinePage } from './pipeline.tsx'

/** Every page of the dashboard, in the order of the navigation. A new page is a line here. */
export const pages: readonly DashboardPage[] = [overviewPage, jobsPage, jobPage, pipelinePage]
