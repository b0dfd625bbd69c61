import { cleanText, type Note } from './clean.ts'
import type { Emitter, WireEvent } from './event.ts'
import { deriveAppId, isUuid, uuidV5, uuidV7 } from './id.ts'
import { activeTraceparent, isTraceparent } from './traceparent.ts'

/** The app that reports. Without an id one is derived from the name. */
export type AppRef = {
  name: string
  /** For example `2.4.1`. */
  version?: string | undefined
  /** A UUID. */
  id?: string | undefined
}

/** A job that others can be part of. */
export type ParentJob = { readonly id: string }

/** The options of a job. An invalid value is repaired; nothing throws. */
export type JobOptions = {
  /** The app; by default the parent's, else `unnamed`. */
  app?: string | AppRef | undefined
  /** The site; by default the parent's, else the environment's `SITE_ID`, else `default`. */
  siteId?: string | undefined
  /** The piece of work, usually the lot. By default the parent's. */
  businessKey?: string | undefined
  /** The part of it, usually the wafer or the step. Subjobs only. */
  subKey?: string | undefined
  /** The job's id, a UUID; by default a new one. Other text becomes a UUID derived from it. */
  id?: string | undefined
  /** Which try of the job this is, from 1, with the same `id` each time. By default the first. */
  attempt?: number | undefined
  /** It waits: it is queued until `job.start()`. Text says why. */
  queued?: boolean | string | undefined
  /** Anything JSON can hold, up to 32 KiB. */
  metadata?: Record<string, unknown> | undefined
  /** The job this is a part of; by default the one in whose callback it starts; null for none. */
  parent?: ParentJob | string | null | undefined
  /** W3C trace context; by default that of the active OpenTelemetry span, else the parent's. */
  traceparent?: string | undefined
  /** Where events go; by default the parent's, else one emitter for the process. */
  emitter?: Emitter | undefined
}

/** The part that is the same in every event of a job. */
export type Identity = Omit<WireEvent, 'idempotency_key' | 'event'>

/** Reads one property; a getter or proxy of the program that throws counts as absent. */
export function pick(options: unknown, name: string): unknown {
  try {
    return (options as Record<string, unknown> | undefined)?.[name]
  } catch {
    return undefined
  }
}

/**
 * Repairs the options that the program gave. `parent` is an id, or an identity, which also fills in
 * what the program did not say.
 */
export function identify(options: unknown, parent: unknown, note: Note): Identity {
  const above = pick(parent, 'entity') ? (parent as Identity) : undefined
  const parentId = above ? above.entity.id : readId(parent, note)
  const given = pick(options, 'traceparent')
  const attempt = readAttempt(pick(options, 'attempt'), note)
  const traceparent = isTraceparent(given) ? given : (activeTraceparent() ?? above?.traceparent)
  return {
    site_id: readSite(pick(options, 'siteId') ?? above?.site_id, note),
    app: readApp(pick(options, 'app') ?? above?.app, note),
    entity: {
      type: parentId ? 'subjob' : 'job',
      id: readId(pick(options, 'id'), note) ?? uuidV7(),
      parent_id: parentId ?? null,
      business_key: readText(pick(options, 'businessKey') ?? above?.entity.business_key, 256, note),
      sub_key: readText(pick(options, 'subKey'), 256, note),
      ...(attempt ? { attempt } : {}),
    },
    ...(traceparent ? { traceparent } : {}),
  }
}

function readApp(given: unknown, note: Note): Identity['app'] {
  const ref = typeof given === 'string' ? { name: given } : given
  const name = readText(pick(ref, 'name'), 200, note) ?? unnamed(note)
  const version = readText(pick(ref, 'version'), 64, note) ?? ''
  const id = pick(ref, 'id') ?? pick(ref, 'app_id')
  if (isUuid(id)) return { app_id: id, name, version }
  if (id != null) note()
  return { app_id: deriveAppId(name), name, version }
}

function unnamed(note: Note): string {
  note()
  return 'unnamed'
}

/** Letters that a site id cannot have become `_`. */
function readSite(given: unknown, note: Note): string {
  const text = cleanText(given ?? process.env.SITE_ID ?? 'default', 64, note)
  const site = text.replace(/[^\w.-]/g, '_').replace(/^\.{0,2}$/, 'default')
  if (site !== text) note()
  return site
}

function readId(given: unknown, note: Note): string | undefined {
  if (given == null) return undefined
  if (isUuid(given)) return given.toLowerCase()
  note()
  return uuidV5(`job:${cleanText(given, 1000, note)}`)
}

function readAttempt(given: unknown, note: Note): number | undefined {
  if (given == null) return undefined
  if (Number.isInteger(given) && (given as number) >= 1 && (given as number) <= 1e6) {
    return given as number
  }
  return note() as undefined
}

/** Null for nothing and for empty text. */
function readText(given: unknown, max: number, note: Note): string | null {
  return given == null ? null : cleanText(given, max, note) || null
}
