import type { Addition } from '../support/house.ts'

/** Counts the jobs of each tool. */
export const question: Addition = {
  thing: 'a question with a column',
  written: {
    'src/core/questions/fixture.ts': `import { toQuery } from '../filter-wire.ts'
import { makeTable, text, whole } from '../wire-table.ts'
import type { Question } from './question.ts'

export type Fixture = { toolName: string; jobCount: number }

export const fixtureQuestion: Question<{ site?: string | undefined }, Fixture> = {
  name: 'fixture',
  path: '/v1/fixture',
  toQuery: ({ site }) => toQuery({ site }),
  table: makeTable<Fixture>('a tool', {
    toolName: text('Its name.'),
    jobCount: whole('Number of its jobs.'),
  }),
  merge: (answers) =>
    [...Map.groupBy(answers.flatMap(({ items }) => items), ({ toolName }) => toolName)].map(
      ([toolName, rows]) => ({ toolName, jobCount: rows.reduce((sum, row) => sum + row.jobCount, 0) }),
    ),
}
`,
    'src/store/fixture.ts': `import type { Fixture } from '../core/questions/fixture.ts'
import type { Store } from './connect.ts'

export const countTools = (
  store: Store,
  { site }: { site?: string | undefined },
  signal: AbortSignal,
): Promise<Fixture[]> =>
  store.ask<Fixture[]>(
    { operation: 'countTools', table: 'job' },
    (sql) => sql\`
      /* fixture.countTools */
      select start_metadata->>'tool' as tool_name, count(*) as job_count from job
      where start_metadata ? 'tool' \${site === undefined ? sql\`\` : sql\`and site_id = \${site}\`}
      group by 1 order by 1\`,
    signal,
  )
`,
    'src/api/fixture.ts': `import * as z from 'zod'
import { fixtureQuestion } from '../core/questions/fixture.ts'
import { countsAnswer, named } from './answers.ts'
import { siteParam } from './job-params.ts'
import { listRoute } from './list-route.ts'
import type { ReaderSource } from './reader-source.ts'
import type { Route } from './route.ts'

const fixtureList = named('FixtureList', countsAnswer(fixtureQuestion.table.shown))

export const fixtureRoutes = ({ reader }: { reader: ReaderSource }): Route[] => [
  listRoute(reader, {
    question: fixtureQuestion,
    tag: 'Jobs',
    summary: 'Counts the jobs of each tool',
    query: z.object({ site: siteParam('Only tools of this site.') }),
    toParams: ({ site }) => ({ site }),
    answer: fixtureList,
  }),
]
`,
  },
  list: {
    file: 'src/core/questions/index.ts',
    edits: [
      {
        find: `import { sourcesQuestion }`,
        replace: `import { fixtureQuestion } from './fixture.ts'
import { sourcesQuestion }`,
      },
      { find: 'questions = [', replace: 'questions = [fixtureQuestion, ' },
    ],
  },
  others: {
    'src/store/answers.ts': [
      {
        find: `import { questions }`,
        replace: `import { fixtureQuestion } from '../core/questions/fixture.ts'
import { questions }`,
      },
      {
        find: `import { listSources }`,
        replace: `import { countTools } from './fixture.ts'
import { listSources }`,
      },
      {
        find: 'inPages(appsQuestion, listApps),',
        replace: `inPages(appsQuestion, listApps),
  answer(fixtureQuestion, countTools),`,
      },
    ],
    'src/api/questions.ts': [
      {
        find: `import { type JobRouteOptions`,
        replace: `import { fixtureRoutes } from './fixture.ts'
import { type JobRouteOptions`,
      },
      {
        find: '...statsRoutes(options),',
        replace: `...statsRoutes(options),
    ...fixtureRoutes(options),`,
      },
    ],
  },
}
