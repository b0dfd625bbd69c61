import type { Context } from 'hono'
import * as z from 'zod'
import { AppError } from '../core/errors.ts'
import { parseText } from '../core/json.ts'
import { fromMs } from '../core/time.ts'
import { listAnswer, named, text, time, whole } from './answers.ts'
import { numberId } from './path-id.ts'
import { limitParam, number, text as textParam } from './query-params.ts'
import { secondsSince, toList } from './reader-source.ts'
import { type Route, route } from './route.ts'

/** An event that a sink refused permanently, with the reason. Times are ms since 1970. */
export type RejectView = ListedReject & {
  /** The event as it was sent, as JSON. */
  body: string
}

/** The same without the event: a thousand of them may be large. */
type ListedReject = {
  id: number
  sink: string
  seq: number
  rejectedMs: number
  field: string
  detail: string
}

export type RejectsOptions = {
  /** Of one sink when it is named. */
  list: (limit: number, beforeId?: number, sink?: string) => ListedReject[]
  get: (id: number) => RejectView | undefined
  /** Sends it again. @returns false when there is no such reject */
  retry: (id: number) => boolean
  /** Deletes those with an id in this range, of one sink when it is named. @returns how many there were */
  drop: (ids: readonly [first: number, last: number], sink?: string) => number
}

const reject = z.object({
  id: whole('Number of the reject.'),
  sink: text('The sink that refused the event.'),
  seq: whole('Number of the event in the spool.'),
  rejected_at: time('When it was refused.'),
  field: text('The invalid field; empty for the whole event.'),
  detail: text('The reason the sink gave.'),
})
const rejectList = named('RejectList', listAnswer(reject))
const rejectDetail = named(
  'Reject',
  reject.extend({
    event: z.record(z.string(), z.unknown()).describe('The event as it was sent.'),
  }),
)
const done = named('Done', z.object({ ok: z.literal(true) }))
const dropped = named('Dropped', done.extend({ dropped: whole('Rejects that were deleted.') }))

/** The rejects of a sidecar. */
export function rejectRoutes(options: RejectsOptions): Route[] {
  return [listRejects(options), showReject(options), retryReject(options), dropReject(options)]
}

const defaultLimit = 100
const ofSink = textParam(128, 'Only rejects of this sink.')

const listRejects = ({ list }: RejectsOptions) =>
  route({
    method: 'get',
    path: '/v1/rejects',
    tag: 'Pipeline',
    summary: 'Lists the events that a sink refused permanently, newest first',
    scope: 'read',
    query: z.object({
      limit: limitParam({ defaultLimit, maxLimit: 1000 }),
      before: number(
        { min: 1, whole: true },
        'Only older rejects: those with an id below this.',
      ).optional(),
      sink: ofSink,
    }),
    answer: { 'application/json': [rejectList] },
    problems: [422],
    handle(c, { limit = defaultLimit, before, sink }) {
      const started = performance.now()
      const rows = list(limit, before, sink).map(toWire)
      return c.json({ ...toList(rows), duration_s: secondsSince(started) })
    },
  })

const showReject = ({ get }: RejectsOptions): Route => ({
  method: 'get',
  path: '/v1/rejects/{id}',
  id: numberId,
  tag: 'Pipeline',
  summary: 'Shows one reject, with its event',
  scope: 'read',
  answer: { 'application/json': [rejectDetail] },
  problems: [404, 422],
  handle(c) {
    const row = get(numberId.read(c))
    if (!row) throw notFound(c)
    return c.json({ ...toWire(row), event: parseText(row.body) })
  },
})

const retryReject = ({ retry }: RejectsOptions): Route => ({
  method: 'post',
  path: '/v1/rejects/{id}/retry',
  id: numberId,
  tag: 'Pipeline',
  summary: 'Sends a reject to its sink again',
  scope: 'operate',
  answer: { 'application/json': [done] },
  problems: [404, 422],
  handle(c) {
    if (!retry(numberId.read(c))) throw notFound(c)
    return c.json({ ok: true })
  },
})

const dropReject = ({ drop }: RejectsOptions) =>
  route({
    method: 'post',
    path: '/v1/rejects/{id}/drop',
    id: numberId,
    tag: 'Pipeline',
    summary: 'Deletes a reject with its event, or all from one to another, permanently',
    scope: 'operate',
    query: z.object({
      from: number(
        { min: 1, whole: true },
        'First reject to delete, with all up to the one in the path; that one alone unless given.',
      ).optional(),
      sink: ofSink,
    }),
    answer: { 'application/json': [dropped] },
    problems: [404, 422],
    handle(c, { from, sink }) {
      const id = numberId.read(c)
      const count = drop([from ?? id, id], sink)
      if (count === 0) throw notFound(c)
      return c.json({ ok: true, dropped: count })
    },
  })

const toWire = ({ id, sink, seq, rejectedMs, field, detail }: ListedReject) => ({
  id,
  sink,
  seq,
  rejected_at: fromMs(rejectedMs),
  field,
  detail,
})

const notFound = (c: Context) =>
  new AppError('not_found', `there is no reject ${c.req.param('id')}`, { field: 'id' })
