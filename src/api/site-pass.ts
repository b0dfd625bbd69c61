import type { Context, MiddlewareHandler } from 'hono'
import { AppError } from '../core/errors.ts'
import type { RoleContext } from '../platform/role.ts'
import { logSparsely } from '../platform/sparse-log.ts'
import { streamBody } from './stream-body.ts'

type RawQuestion = {
  method: 'GET' | 'HEAD'
  path: string
  query: URLSearchParams
  headers: Headers
}

type RawAnswer = {
  status: number
  headers: Record<string, string>
  body: Uint8Array | ReadableStream<Uint8Array> | null
}

/** Puts a question to one site. @throws AppError not_found when there is no such site */
export type AskSite = (id: string, question: RawQuestion, signal: AbortSignal) => Promise<RawAnswer>

/** Passes a question with `site=` to that site unchanged. */
export function passThrough(askSite: AskSite, { life, log }: RoleContext): MiddlewareHandler {
  return async (c, next) => {
    const id = readSite(c)
    if (id === undefined) return next()
    const query = new URL(c.req.url).searchParams
    query.delete('site')
    const method = c.req.method === 'HEAD' ? 'HEAD' : 'GET'
    const question = { method, path: c.req.path, query, headers: c.req.raw.headers } as const
    const signal = AbortSignal.any([c.req.raw.signal, life.signal])
    const passed = await askSite(id, question, signal)
    return answerPassed(c, passed, (error) => {
      const fields = { error, site: id }
      logSparsely(log, `interrupted ${id}`, { level: 'warn', fields, event: 'answer interrupted' })
    })
  }
}

function readSite(c: Context): string | undefined {
  const given = c.req.queries('site')
  if (given === undefined) return undefined
  const [id, ...more] = given
  if (id !== undefined && id !== '' && more.length === 0) return id
  const what = more.length > 0 ? 'is given more than once; send it once' : 'is empty; name a site'
  throw new AppError('invalid', `site: ${what}, or omit it for all sites`, { field: 'site' })
}

function answerPassed(c: Context, passed: RawAnswer, onError: (error: unknown) => void): Response {
  const { status, headers, body } = passed
  const sent = body instanceof ReadableStream ? streamBody(c, chunks(body), { onError }) : body
  return c.newResponse(sent as ReadableStream, { status: status as 200, headers })
}

async function* chunks(stream: ReadableStream<Uint8Array>): AsyncGenerator<Uint8Array> {
  yield* stream
}
