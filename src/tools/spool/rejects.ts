import * as z from 'zod'
import { AppError } from '../../core/errors.ts'
import { must } from '../../core/must.ts'
import { askSidecar, type Sidecar, toRefusal } from '../sidecar.ts'

const rejectSchema = z.object({
  id: z.number(),
  sink: z.string(),
  seq: z.number(),
  rejected_at: z.string(),
  field: z.string(),
  detail: z.string(),
})
/** An event that a sink refused permanently, and why. */
export type Reject = z.infer<typeof rejectSchema>

const pageSchema = z.object({ items: z.array(rejectSchema) })
const wholeSchema = rejectSchema.extend({ event: z.unknown() })
/** The same, with the event as it was offered. */
export type WholeReject = z.infer<typeof wholeSchema>

/** Maximum rows of one answer of a sidecar. */
const pageSize = 1000

/** The rejects of a sidecar, or of one of its sinks, newest first. */
export async function listRejects(
  sidecar: Sidecar,
  { limit = Infinity, sink }: { limit?: number; sink?: string | undefined } = {},
): Promise<Reject[]> {
  const ofSink = sink === undefined ? '' : `&sink=${encodeURIComponent(sink)}`
  const rows: Reject[] = []
  while (rows.length < limit) {
    const size = Math.min(limit - rows.length, pageSize)
    const older = rows.length === 0 ? '' : `&before=${must(rows.at(-1), 'there are rows').id}`
    const answer = await askSidecar(sidecar, `/v1/rejects?limit=${size}${older}${ofSink}`)
    const { items } = fits(pageSchema, answer, sidecar.url)
    rows.push(...items)
    if (items.length < size) break
  }
  return rows
}

/** @throws AppError not_found when there is no such reject */
export async function showReject(sidecar: Sidecar, id: number): Promise<WholeReject> {
  return fits(wholeSchema, await askSidecar(sidecar, `/v1/rejects/${id}`), sidecar.url)
}

/** Offers one to its sink again. @throws AppError not_found when there is no such reject */
export async function retryReject(sidecar: Sidecar, id: number): Promise<void> {
  await askSidecar(sidecar, `/v1/rejects/${id}/retry`, { method: 'POST' })
}

const droppedSchema = z.object({ dropped: z.number() })

/** Which: from one id to another, of one sink when it is named. */
export type DroppedRange = { from: number; to: number; sink?: string | undefined }

/**
 * Deletes one permanently, or all from one to another.
 *
 * @returns how many there were
 * @throws AppError not_found when there is none
 */
export async function dropReject(
  sidecar: Sidecar,
  { from, to, sink }: DroppedRange,
): Promise<number> {
  const ofSink = sink === undefined ? '' : `&sink=${encodeURIComponent(sink)}`
  const path = `/v1/rejects/${to}/drop?from=${from}${ofSink}`
  return fits(droppedSchema, await askSidecar(sidecar, path, { method: 'POST' }), sidecar.url)
    .dropped
}

/** Undefined instead of an error for a reject that another operator has retried meanwhile. */
export function unlessGone(error: unknown): undefined {
  const gone = error instanceof AppError && error.code === 'not_found' && error.field === 'id'
  if (gone) return undefined
  throw error
}

/** An answer that has the expected shape. @throws AppError when it does not come from a sidecar */
export function fits<T>(schema: z.ZodType<T>, answer: unknown, url: string): T {
  const read = schema.safeParse(answer)
  if (read.success) return read.data
  throw toRefusal(url, 200, answer)
}
