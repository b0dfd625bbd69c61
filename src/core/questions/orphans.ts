import { toQuery } from '../filter-wire.ts'
import type { Micros } from '../time.ts'
import { makeTable, text, time, whole } from '../wire-table.ts'
import type { Question } from './question.ts'

/** The subjobs of an app whose job has not reported. */
export type Orphans = {
  siteId: string
  appName: string
  subjobs: number
  newestStartedAt: Micros
}

/** Subjobs whose job (or parent subjob) has not reported, counted by site and app, most first. */
export const orphansQuestion: Question<{ site?: string | undefined }, Orphans> = {
  name: 'orphans',
  path: '/v1/orphans',
  toQuery: ({ site }) => toQuery({ site }),
  table: makeTable<Orphans>('a count of orphans', {
    siteId: text('The site.'),
    appName: text('Name of the app that reported the subjobs.'),
    subjobs: whole('Number of its subjobs without a job.'),
    newestStartedAt: time('When the newest of them started.'),
  }),
  merge: (answers) =>
    answers
      .flatMap(({ items }) => items)
      .sort((a, b) => b.subjobs - a.subjobs || (keyOf(a) < keyOf(b) ? -1 : 1)),
}

const keyOf = ({ siteId, appName }: Orphans) => `${siteId}\n${appName}`
