import { Hono } from 'hono'
import * as z from 'zod'
import { AppError } from '../core/errors.ts'
import { parseText } from '../core/json.ts'
import { fromMs } from '../core/time.ts'
import { type Auth, requireScope } from '../platform/auth.ts'
import { number, readParams } from './query-params.ts'
import { listOf, secondsSince } from './reader-source.ts'

/** An event that a sink refused for good, with the reason. Times are ms since 1970. */
export type RejectView = {
  id: number
  sink: string
  seq: number
  rejectedMs: number
  field: string
  detail: string
  /** The event as it was offered, as JSON. */
  body: string
}

export type RejectsOptions = {
  auth: Auth
  list: (limit: number, beforeId?: number) => RejectView[]
  get: (id: number) => RejectView | undefined
  /** Offers it again. @returns false when there is no such reject */
  retry: (id: number) => boolean
}

export const rejectParams = z.object({
  limit: number({ min: 1, max: 1000, whole: true }, 'Most rows in the answer.')
    .optional()
    .meta({ default: 100 }),
  before: number({ min: 1, whole: true }, 'Only older ones: with an id below this.').optional(),
})

/** `GET /v1/rejects`, `GET /v1/rejects/{id}`, `POST /v1/rejects/{id}/retry` of the sidecar. */
export function rejectRoutes({ auth, list, get, retry }: RejectsOptions): Hono {
  const app = new Hono()
  app.get('/v1/rejects', requireScope(auth, 'read'), (c) => {
    const started = performance.now()
    const { limit, before } = readParams(c, rejectParams)
    const rows = list(limit ?? 100, before).map(shown)
    return c.json({ ...listOf(rows), duration_s: secondsSince(started) })
  })
  app.get('/v1/rejects/:id', requireScope(auth, 'read'), (c) => {
    const row = get(wholeNumber('id', c.req.param('id')))
    if (!row) throw notFound(c.req.param('id'))
    return c.json({ ...shown(row), event: parseText(row.body) })
  })
  app.post('/v1/rejects/:id/retry', requireScope(auth, 'operate'), (c) => {
    if (!retry(wholeNumber('id', c.req.param('id')))) throw notFound(c.req.param('id'))
    return c.json({ ok: true })
  })
  return app
}

const shown = ({ id, sink, seq, rejectedMs, field, detail }: RejectView) => ({
  id,
  sink,
  seq,
  rejected_at: fromMs(rejectedMs),
  field,
  detail,
})

const notFound = (id: string) =>
  new AppError('not_found', `there is no reject ${id}`, { field: 'id' })

function wholeNumber(name: string, text: string, min = 1, max = Number.MAX_SAFE_INTEGER): number {
  const n = Number(text)
  if (/^\d+$/.test(text) && n >= min && n <= max) return n
  throw new AppError('invalid', `${name} must be a whole number from ${min} to ${max}`, {
    field: name,
  })
}
