import type { Addition } from '../support/house.ts'

/** Shows how many apps a site runs. */
export const page: Addition = {
  thing: 'a page',
  written: {
    'views/pages/fixture.tsx': `import type { Page } from '../page.ts'
import { Panel } from '../partials/panel.tsx'

export type FixtureView = { apps: number | undefined }

export function FixtureBody({ page, view }: { page: Page; view: FixtureView }) {
  return (
    <Panel title="Fixture">
      <p>{\`\${page.site} runs \${view.apps ?? 'unknown'} apps\`}</p>
    </Panel>
  )
}
`,
    'src/dashboard/pages/fixture.tsx': `import { FixtureBody, type FixtureView } from '../../../views/pages/fixture.tsx'
import { appsQuestion } from '../../core/questions/apps.ts'
import { definePage } from '../define-page.tsx'
import { ask, type Visit } from '../visit.ts'

export const fixturePage = definePage({
  path: '/fixture',
  navigation: { entry: 'Fixture' },
  title: () => 'Fixture',
  load,
  body: FixtureBody,
})

async function load(visit: Visit): Promise<FixtureView> {
  const apps = await ask(visit, ['apps'], (backend, signal) =>
    backend.ask(appsQuestion, {}, signal),
  )
  return { apps: apps?.length }
}
`,
  },
  list: {
    file: 'src/dashboard/pages/index.ts',
    edits: [
      {
        find: `import { jobPage } from './job.tsx'`,
        replace: `import { fixturePage } from './fixture.tsx'
import { jobPage } from './job.tsx'`,
      },
      {
        find: 'pages: readonly DashboardPage[] = [',
        replace: 'pages: readonly DashboardPage[] = [fixturePage, ',
      },
    ],
  },
  others: {
    // Its answer to an operator, which only a person can write.
    'docs/dashboard.md': [
      {
        find: `| Where events are between program and database, and which are missing |`,
        replace: `| Where events are between program and database, and which are missing |
| \`/fixture\` | How many apps run? |`,
      },
    ],
  },
}
