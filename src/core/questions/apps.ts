import { toQuery } from '../filter-wire.ts'
import type { Micros } from '../time.ts'
import { makeTable, orElse, text, time, uuid } from '../wire-table.ts'
import type { Question } from './question.ts'

export type App = {
  appId: string
  name: string
  version: string
  siteId: string
  firstSeenAt: Micros
  lastSeenAt: Micros
}

/** The programs that have reported, by site and name. */
export const appsQuestion: Question<{ site?: string | undefined }, App> = {
  name: 'apps',
  path: '/v1/apps',
  toQuery: ({ site }) => toQuery({ site }),
  table: makeTable<App>('an app', {
    appId: uuid('Its latest id.'),
    name: text('Its name.'),
    version: orElse(text('Its latest version; may be empty.'), ''),
    siteId: text('The site it runs at.'),
    firstSeenAt: time('When it first reported.'),
    lastSeenAt: time('When it last reported.'),
  }),
  /** By name, so that a program that runs at several sites stands together. */
  order: [{ by: 'name' }, { by: 'siteId' }],
  merge: (answers) => answers.flatMap(({ items }) => items),
}
