import * as z from 'zod'
import { AppError } from '../core/errors.ts'
import type { JobFilter, JobReader, StatsFilter, StoredEvent } from '../core/job.ts'
import {
  appFromWire,
  itemsFromWire,
  jobDetailFromWire,
  jobFilterToQuery,
  pageFromWire,
  sourceFromWire,
  statsFilterToQuery,
  statsRowFromWire,
} from '../core/job-wire.ts'
import { parseSse, type SseMessage } from '../platform/sse.ts'
import {
  admits,
  askJson,
  explained,
  type Fetch,
  openStream,
  type Peer,
  unreachable,
} from './http-json.ts'
import { remoteJobsById } from './jobs-by-id.ts'

export type RemoteOptions = {
  baseUrl: string
  token?: string | undefined
  /** Longest wait for an answer, in milliseconds. */
  timeoutMs: number
  /** Put on every question as `site=`: one site of a central API. */
  site?: string | undefined
  /** Largest answer that is read, in bytes; 32 MiB. */
  maxBytes?: number
  /** Longest silence of a stream, in milliseconds; three of the comments that come every 15 s. */
  maxSilenceMs?: number
  fetch?: Fetch
}

/** What an API says of itself. */
export type Health = { status: string; service: string; version: string }

/** What one remote site can be asked beyond what every JobReader can. */
export type RemoteSite = JobReader & {
  health(signal: AbortSignal): Promise<Health>
  /** @throws AppError unreachable when it does not let us ask questions */
  admits(signal: AbortSignal): Promise<void>
  /** Ids of the sites behind a central API. */
  listSites(signal: AbortSignal): Promise<string[]>
  /**
   * Live events from after `lastEventId`, until the signal aborts (it then ends quietly) or the
   * stream breaks (it then throws AppError unreachable). Comments are handed on as signs of life.
   */
  follow(lastEventId: string | undefined, signal: AbortSignal): AsyncGenerator<SseMessage>
  /** The rows of a filter as CSV or NDJSON, streamed as the API writes them. */
  exportJobs(
    filter: JobFilter,
    format: 'csv' | 'ndjson',
    signal: AbortSignal,
  ): Promise<ReadableStream<Uint8Array>>
}

/**
 * One site's API as a JobReader. Whatever the other side does (nothing, half, too much, nonsense),
 * a call ends within the timeout with an answer or an AppError that says what happened.
 */
export function remoteReader(options: RemoteOptions): RemoteSite {
  const peer: Peer = {
    baseUrl: options.baseUrl.replace(/\/+$/, ''),
    token: options.token,
    timeoutMs: options.timeoutMs,
    maxBytes: options.maxBytes ?? 32 * 2 ** 20,
    fetch: options.fetch ?? globalThis.fetch,
  }
  const ask = asker(peer, options.site)
  const list = <T>(path: string, item: (json: unknown) => T, signal: AbortSignal, query?: Query) =>
    ask(path, (json) => itemsFromWire(json, item), signal, query)

  const getJob: JobReader['getJob'] = (id, signal) =>
    ask(`/v1/jobs/${encodeURIComponent(id)}`, jobDetailFromWire, signal).catch(noneWhenMissing)

  return {
    findJobs: (filter, signal) => ask('/v1/jobs', pageFromWire, signal, jobFilterToQuery(filter)),
    findSubjobs: (filter, signal) =>
      ask('/v1/subjobs', pageFromWire, signal, jobFilterToQuery(filter)),
    getJob,
    getJobs: remoteJobsById({ ask, getJob }),
    findEvents: (id, limit, signal) =>
      list(`/v1/jobs/${encodeURIComponent(id)}/events`, asEvent, signal, limited(limit)),
    listApps: (signal) => list('/v1/apps', appFromWire, signal),
    listSources: (signal) => list('/v1/sources', sourceFromWire, signal),
    stats: (filter: StatsFilter, signal) =>
      list('/v1/stats', statsRowFromWire, signal, statsFilterToQuery(filter)),
    admits: (signal) => admits(peer, withSite('/v1/stream', options.site), signal),
    health: (signal) =>
      options.site === undefined
        ? ask('/v1/healthz', (json) => healthSchema.parse(json), signal)
        : healthOf(options.site, peer, signal),
    listSites: (signal) => list('/v1/sites', (json) => siteSchema.parse(json).id, signal),
    follow: (lastEventId, signal) =>
      follow(peer, withSite('/v1/stream', options.site), lastEventId, {
        signal,
        maxSilenceMs: options.maxSilenceMs ?? 45_000,
      }),
    exportJobs: async (filter, format, signal) => {
      const query = jobFilterToQuery(filter)
      query.set('format', format)
      // An export is of all rows of the window.
      query.delete('limit')
      const path = withSite('/v1/jobs', options.site, query)
      const accept = format === 'csv' ? 'text/csv' : 'application/x-ndjson'
      return (await openStream(peer, path, accept, signal)).body
    },
  }
}

type Query = URLSearchParams
/** A site behind a central API: `/v1/healthz` there is about central. */
async function healthOf(id: string, peer: Peer, signal: AbortSignal): Promise<Health> {
  const read = (json: unknown) => itemsFromWire(json, (item) => siteSchema.parse(item))
  const sites = await asker(peer, undefined)('/v1/sites', read, signal)
  const site = sites.find((one) => one.id === id)
  if (!site || site.status === 'unreachable') {
    throw unreachable(peer, `does not reach ${id}${site?.error ? `: ${site.error}` : ''}`)
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
const asEvent = (json: unknown) => z.record(z.string(), z.unknown()).parse(json) as StoredEvent
const limited = (limit: number) => new URLSearchParams({ limit: String(limit) })

function withSite(path: string, site: string | undefined, query: Query = new URLSearchParams()) {
  if (site !== undefined && !query.has('site')) query.set('site', site)
  return query.size > 0 ? `${path}?${query}` : path
}

function asker(peer: Peer, site: string | undefined) {
  return async <T>(
    path: string,
    read: (json: unknown) => T,
    signal: AbortSignal,
    query?: Query,
  ): Promise<T> => {
    const json = await askJson(peer, withSite(path, site, query), signal)
    if (json === undefined) throw new AppError('not_found', `the API has no ${path}`)
    try {
      return read(json)
    } catch (cause) {
      const why = cause instanceof AppError ? cause.message : 'it has another shape'
      throw unreachable(peer, `answered with something unexpected: ${why}`, cause)
    }
  }
}

function noneWhenMissing(error: unknown): undefined {
  if (error instanceof AppError && error.code === 'not_found') return undefined
  throw error
}

async function* follow(
  peer: Peer,
  path: string,
  lastEventId: string | undefined,
  { signal, maxSilenceMs }: { signal: AbortSignal; maxSilenceMs: number },
): AsyncGenerator<SseMessage> {
  const silence = new AbortController()
  const either = AbortSignal.any([signal, silence.signal])
  const resume = lastEventId ? { 'last-event-id': lastEventId } : {}
  try {
    const { body } = await openStream(peer, path, 'text/event-stream', either, resume)
    yield* parseSse(watched(body, silence, maxSilenceMs))
  } catch (error) {
    if (signal.aborted) return
    if (silence.signal.aborted) {
      throw unreachable(peer, `sent nothing for ${maxSilenceMs / 1000} s`, error)
    }
    throw explained(error, { peer, signal, timeout: new AbortController().signal })
  }
  if (!signal.aborted) throw unreachable(peer, 'ended the stream')
}

/** Hands the chunks on and gives up when none comes for `maxSilenceMs`: a half-open connection. */
async function* watched(
  body: ReadableStream<Uint8Array>,
  silence: AbortController,
  maxSilenceMs: number,
): AsyncGenerator<Uint8Array> {
  const timer = setTimeout(() => silence.abort(), maxSilenceMs)
  try {
    for await (const chunk of body) {
      timer.refresh()
      yield chunk
    }
  } finally {
    clearTimeout(timer)
  }
}
