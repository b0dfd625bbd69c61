import * as z from 'zod'
import { completenessTable } from './completeness-wire.ts'
import { cursorFromWire, cursorToWire, type ListOrder } from './cursor-wire.ts'
import type { Job, JobPage, Total } from './job.ts'
import type { Omissions } from './list-order.ts'
import type { MissingSites } from './sites.ts'
import { flag, makeTable, notA, readAs, type Wire, whole } from './wire-table.ts'

/** What stands around the jobs of a page. The list is the one the page was asked of. */
export function pageHeadToWire(page: JobPage, list: ListOrder): Wire {
  return {
    ...(page.total ? { total: page.total } : {}),
    next_cursor: page.nextCursor === null ? null : cursorToWire(page.nextCursor, list),
    completeness: completenessTable.toWire(page.completeness),
  }
}

/** Sent as held. */
export const totalTable = makeTable<Total>('a total', {
  count: whole('Rows on all pages together.'),
  complete: flag('False when there are more; counting stops at 10,000.'),
})

const sitesSchema = z.object({
  total: z.number(),
  details: z.array(z.object({ id: z.string(), status: z.string() })),
})

const pageSchema = z.object({
  items: z.array(z.unknown()),
  total: totalTable.read.nullish(),
  next_cursor: z.string().nullish(),
  completeness: z.unknown(),
  sites: sitesSchema.nullish(),
})

const omissionsSchema = z.object({
  partial: z.boolean().nullish(),
  cut: z.boolean().nullish(),
  sites: sitesSchema.nullish(),
})

/** What a list that comes whole lacks. @param rest the answer without its items */
export function omissionsFromWire(rest: unknown): Omissions {
  const { partial, cut, sites } = readAs(omissionsSchema, rest, 'a list')
  return {
    ...(partial ? { partial } : {}),
    ...(cut ? { cut } : {}),
    ...(sites ? { sites: toMissing(sites) } : {}),
  }
}

/**
 * @param rest the answer without its items
 * @throws AppError invalid, when the JSON is not a page of a list
 */
export function pageFromWire(items: Job[], rest: unknown): JobPage {
  const { total, next_cursor, completeness, sites } = readAs(pageSchema, rest, 'a list of jobs')
  const cursor = next_cursor == null ? null : cursorFromWire(next_cursor)
  if (cursor === undefined) throw notA('a list of jobs', 'next_cursor: unreadable')
  return {
    items,
    nextCursor: cursor && { at: cursor.at, id: cursor.id, sites: cursor.sites },
    completeness: completenessTable.fromWire(completeness),
    ...(total ? { total } : {}),
    ...(sites ? { sites: toMissing(sites) } : {}),
  }
}

const toMissing = ({ total, details }: z.infer<typeof sitesSchema>): MissingSites => ({
  total,
  missing: details.filter(({ status }) => status === 'failed').map(({ id }) => id),
})
