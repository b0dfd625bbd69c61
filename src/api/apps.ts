import * as z from 'zod'
import { appTable } from '../core/stats-wire.ts'
import { listAnswer, named } from './answers.ts'
import { siteParam } from './job-params.ts'
import { answer, ask, type ReaderSource, toList } from './reader-source.ts'
import { type Route, route } from './route.ts'

const appList = named('AppList', listAnswer(appTable.shown))

export function appRoutes({ reader }: { reader: ReaderSource }): Route[] {
  return [
    route({
      method: 'get',
      path: '/v1/apps',
      tag: 'Jobs',
      summary: 'Lists the apps that have reported',
      scope: 'read',
      query: z.object({ site: siteParam('Only apps of this site.') }),
      answer: { 'application/json': [appList] },
      problems: [422, 503],
      async handle(c, { site }) {
        const started = performance.now()
        const asked = ask(reader)
        const apps = await asked.reader.listApps(c.req.raw.signal)
        const wanted = apps.filter(({ siteId }) => site === undefined || siteId === site)
        return answer(c, asked, started, toList(wanted.map(appTable.toWire)))
      },
    }),
  ]
}
