import * as z from 'zod'
import { completenessTable } from '../core/completeness-wire.ts'
import { AppError } from '../core/errors.ts'
import { readEventCursor } from '../core/event-cursor.ts'
import { eventFilterToQuery, jobFilterToQuery, toQuery } from '../core/filter-wire.ts'
import type { EventFilter, EventPage, JobFilter, JobReader } from '../core/job.ts'
import { detailFromWire, jobFromWire } from '../core/job-wire.ts'
import { placeToWire, readPlace } from '../core/list-order.ts'
import { omissionsFromWire, pageFromWire } from '../core/page-wire.ts'
import { cursorOfList, itemsFromWire } from '../core/wire-table.ts'
import type { HttpClient } from '../platform/http-client.ts'
import { parseSse, type SseMessage } from '../platform/sse.ts'
import {
  type ApiOptions,
  askText,
  checkAdmission,
  openClient,
  openStream,
  postJson,
  toAppError,
  unreachable,
} from './api-client.ts'
import { remoteJobsById } from './jobs-by-id.ts'
import { type ReadAnswer, readItems, readWhole } from './parse-answer.ts'

export type ReaderOptions = {
  /** Put on every question as `site=`: one site of a central API. */
  site?: string | undefined
  /** Lets a question through or rejects it, by what is known of the other side. */
  guard?: Guard
}
export type Guard = <T>(signal: AbortSignal, ask: () => Promise<T>) => Promise<T>

export type RemoteOptions = ApiOptions & ReaderOptions

/** The health that an API reports. */
export type Health = { status: string; service: string; version: string }

/** A JobReader over HTTP, with the other questions that an API answers. */
export type RemoteSite = JobReader & {
  health(signal: AbortSignal): Promise<Health>
  /** @throws AppError unreachable when the API does not let us ask questions */
  checkAdmission(signal: AbortSignal): Promise<void>
  /** Ids of the sites of a central API. */
  listSites(signal: AbortSignal): Promise<string[]>
  /**
   * Live events from after `lastEventId`, until the signal aborts (it then ends quietly) or the
   * stream breaks (it then throws AppError unreachable). Comments are handed on as heartbeats.
   * With a site, only events of it.
   */
  follow(
    lastEventId: string | undefined,
    signal: AbortSignal,
    site?: string,
  ): AsyncGenerator<SseMessage>
  /** Accepts what a source has lost. @throws AppError with what the API says */
  acceptSource(id: string, acceptance: object, signal: AbortSignal): Promise<void>
  /** Closes a job or subjob. @throws AppError with what the API says */
  closeJob(id: string, closing: object, signal: AbortSignal): Promise<void>
  /** The rows of a filter as CSV or NDJSON, streamed as the API writes them. */
  exportJobs(
    filter: JobFilter,
    format: 'csv' | 'ndjson',
    signal: AbortSignal,
  ): Promise<ReadableStream<Uint8Array>>
}

/**
 * One site's API as a JobReader. Regardless of what the other side does (nothing, half, too much,
 * nonsense), a call ends within the timeout with an answer or an AppError that says what happened.
 */
export function remoteReader(options: RemoteOptions): RemoteSite {
  return readerOver(openClient(options), options)
}

/** The same, over a client that exists. Health and admission are asked past the guard. */
export function readerOver(client: HttpClient, { site, guard }: ReaderOptions): RemoteSite {
  const unguarded = makeAsk(client, site)
  const ask: Ask = withoutArchive((path, read, signal, query) => {
    const call = () => unguarded(path, read, signal, query)
    return guard ? guard(signal, call) : call()
  })

  const getJob: JobReader['getJob'] = (id, signal, archive) =>
    ask(
      `/v1/jobs/${encodeURIComponent(id)}`,
      readWhole(detailFromWire),
      signal,
      toQuery({ archive: archive?.toString() }),
    ).catch(noneWhenMissing)

  const askPage: JobReader['askPage'] = (question, params, signal, after) => {
    const { path, table, order, toQuery: queryOf } = question
    const query = queryOf(params)
    if (after) query.set('cursor', placeToWire(after))
    const read = readItems(table.fromWire, (items, rest) => {
      const cursor = cursorOfList(rest)
      const next = order && cursor !== undefined ? readPlace(order, cursor) : null
      return { items, next, ...omissionsFromWire(rest) }
    })
    return ask(path, read, signal, query)
  }

  return {
    findJobs: (filter, signal) => ask('/v1/jobs', readPage, signal, jobFilterToQuery(filter)),
    findSubjobs: (filter, signal) => ask('/v1/subjobs', readPage, signal, jobFilterToQuery(filter)),
    getJob,
    getJobs: remoteJobsById({ ask, getJob }),
    findEvents: (id, filter, signal) =>
      ask(
        `/v1/jobs/${encodeURIComponent(id)}/events`,
        readEvents(filter.order),
        signal,
        eventFilterToQuery(filter),
      ),
    ask: async (question, params, signal) => (await askPage(question, params, signal)).items,
    askPage,
    checkAdmission: (signal) => checkAdmission(client, withSite('/v1/stream', site), signal),
    health: (signal) =>
      site === undefined
        ? unguarded('/v1/healthz', readHealth, signal)
        : findHealth(site, client, signal),
    listSites: async (signal) => (await ask('/v1/sites', readSites, signal)).map(({ id }) => id),
    follow: (lastEventId, signal, wanted = site) =>
      follow(client, withSite('/v1/stream', wanted), lastEventId, signal),
    acceptSource: (id, acceptance, signal) =>
      postJson(client, `/v1/sources/${encodeURIComponent(id)}/accept`, acceptance, signal),
    closeJob: (id, closing, signal) =>
      postJson(client, `/v1/jobs/${encodeURIComponent(id)}/close`, closing, signal),
    exportJobs: async (filter, format, signal) => {
      const query = jobFilterToQuery(filter)
      query.set('format', format)
      // An export is of all rows of the window.
      query.delete('limit')
      const accept = format === 'csv' ? 'text/csv' : 'application/x-ndjson'
      return retryWithoutArchive(query, (own) => {
        const path = withSite('/v1/jobs', site, own)
        const open = () => openStream(client, path, { accept }, signal)
        return guard ? guard(signal, open) : open()
      })
    },
  }
}

type Query = URLSearchParams
type Ask = <T>(path: string, read: ReadAnswer<T>, signal: AbortSignal, query?: Query) => Promise<T>

const withoutArchive =
  (ask: Ask): Ask =>
  (path, read, signal, query = new URLSearchParams()) =>
    retryWithoutArchive(query, (own) => ask(path, read, signal, own))

/**
 * An older site refuses the parameter `archive`. It is asked again without it, and its completeness tells that its archive was
 * not searched.
 */
async function retryWithoutArchive<T>(query: Query, ask: (query: Query) => Promise<T>): Promise<T> {
  try {
    return await ask(query)
  } catch (error) {
    const isRefused = error instanceof AppError && error.code === 'invalid'
    if (!isRefused || error.field !== 'archive' || !/unknown/.test(error.message)) throw error
    const rest = new URLSearchParams(query)
    rest.delete('archive')
    return ask(rest)
  }
}

/** The health of one site of a central API: `/v1/healthz` there is about central. */
async function findHealth(id: string, client: HttpClient, signal: AbortSignal): Promise<Health> {
  const sites = await makeAsk(client, undefined)('/v1/sites', readSites, signal)
  const site = sites.find((one) => one.id === id)
  if (!site || site.status === 'unreachable') {
    throw unreachable(client, `does not reach ${id}${site?.error ? `: ${site.error}` : ''}`)
  }
  return { status: site.status, service: 'local-api', version: site.version ?? '' }
}

const healthSchema = z.object({
  status: z.string(),
  service: z.string().default(''),
  version: z.string().default(''),
})
const siteSchema = z.object({
  id: z.string(),
  status: z.string().default('ok'),
  version: z.string().nullish(),
  error: z.string().nullish(),
})

const readHealth = readWhole((json) => healthSchema.parse(json))
const readSites = readWhole((json) => itemsFromWire(json, (item) => siteSchema.parse(item)))
const readPage = readItems(jobFromWire, pageFromWire)

const eventSchema = z.record(z.string(), z.unknown())
const eventRestSchema = z.object({ completeness: completenessTable.read.nullish() })
const readEvents = (order: EventFilter['order']) =>
  readItems(
    (json) => eventSchema.parse(json),
    (items, rest): EventPage => {
      const cursor = cursorOfList(rest)
      const { completeness } = eventRestSchema.parse(rest)
      return {
        items,
        next: cursor === undefined ? null : readEventCursor(cursor, order),
        completeness: completeness ?? undefined,
      }
    },
  )

function withSite(path: string, site: string | undefined, query: Query = new URLSearchParams()) {
  if (site !== undefined && !query.has('site')) query.set('site', site)
  return query.size > 0 ? `${path}?${query}` : path
}

function makeAsk(client: HttpClient, site: string | undefined): Ask {
  return async (path, read, signal, query) => {
    const text = await askText(client, withSite(path, site, query), signal)
    if (text === undefined) throw new AppError('not_found', `the API has no ${path}`)
    try {
      return await read(text)
    } catch (cause) {
      if (cause instanceof SyntaxError || (cause as AppError).code === 'unreadable') {
        throw unreachable(client, 'answered with something that is not JSON', cause)
      }
      const why = cause instanceof AppError ? cause.message : 'it has another shape'
      throw unreachable(client, `answered with something unexpected: ${why}`, cause)
    }
  }
}

function noneWhenMissing(error: unknown): undefined {
  if (error instanceof AppError && error.code === 'not_found') return undefined
  throw error
}

async function* follow(
  client: HttpClient,
  path: string,
  lastEventId: string | undefined,
  signal: AbortSignal,
): AsyncGenerator<SseMessage> {
  const resume = lastEventId ? { 'last-event-id': lastEventId } : {}
  const headers = { accept: 'text/event-stream', ...resume }
  try {
    yield* parseSse(await openStream(client, path, headers, signal))
  } catch (error) {
    if (signal.aborted) return
    if (error instanceof RangeError)
      throw unreachable(client, `sent an invalid stream: ${error.message}`)
    throw toAppError(client, error)
  }
  if (!signal.aborted) throw unreachable(client, 'ended the stream')
}
