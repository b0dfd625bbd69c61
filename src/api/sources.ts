import { Hono } from 'hono'
import { sourceToWire } from '../core/job-wire.ts'
import { noParams, readParams } from './query-params.ts'
import { answer, ask, listOf, type ReaderSource } from './reader-source.ts'

/** The spools that deliver to the store: how far each came, what is missing, how its clock stands. */
export function sourceRoutes({ reader }: { reader: ReaderSource }): Hono {
  return new Hono().get('/v1/sources', async (c) => {
    readParams(c, noParams)
    const started = performance.now()
    const asked = ask(reader)
    const sources = await asked.reader.listSources(c.req.raw.signal)
    return answer(c, asked, started, listOf(sources.map(sourceToWire)))
  })
}
