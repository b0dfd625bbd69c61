import { Hono } from 'hono'
import * as z from 'zod'
import { appToWire } from '../core/job-wire.ts'
import { siteParam } from './job-params.ts'
import { readParams } from './query-params.ts'
import { answer, ask, listOf, type ReaderSource } from './reader-source.ts'

/** What `GET /v1/apps` can be asked. */
export const appParams = z.object({ site: siteParam('Only apps of this site.') })

/** The programs that have reported. */
export function appRoutes({ reader }: { reader: ReaderSource }): Hono {
  return new Hono().get('/v1/apps', async (c) => {
    const { site } = readParams(c, appParams)
    const started = performance.now()
    const asked = ask(reader)
    const apps = await asked.reader.listApps(c.req.raw.signal)
    const wanted = apps.filter(({ siteId }) => site === undefined || siteId === site)
    return answer(c, asked, started, listOf(wanted.map(appToWire)))
  })
}
