import type { Event } from '../core/event.ts'

/** Fields that have a column of their own; the rest of each object is kept in `extra`. */
const known = {
  top: new Set([
    'idempotency_key',
    'site_id',
    'app',
    'entity',
    'event',
    'traceparent',
    'source',
    'received_at',
    'historical',
  ]),
  app: new Set(['app_id', 'name', 'version']),
  entity: new Set(['type', 'id', 'parent_id', 'business_key', 'sub_key']),
  event: new Set(['kind', 'at', 'status', 'metrics', 'metadata', 'started_at', 'ended_at']),
  source: new Set(['id', 'epoch', 'seq']),
}

type Part = keyof typeof known
/** Unknown fields by the object that they were in. */
export type Extra = Partial<Record<Part, Record<string, unknown>>>

/** An event as a row of `event`; absent means null. */
export function toEventRow(envelope: Event) {
  const { app, entity, event, source } = envelope
  return {
    at: event.at,
    idempotency_key: envelope.idempotency_key,
    received_at: envelope.received_at,
    entity_type: entity.type === 'job' ? 'j' : 's',
    entity_id: entity.id,
    parent_id: entity.parent_id ?? undefined,
    app_id: app.app_id,
    app_name: app.name,
    app_version: app.version,
    site_id: envelope.site_id,
    business_key: entity.business_key ?? undefined,
    sub_key: entity.sub_key ?? undefined,
    kind: event.kind,
    status: event.status ?? undefined,
    started_at: event.started_at ?? undefined,
    ended_at: event.ended_at ?? undefined,
    metrics: event.metrics ?? undefined,
    metadata: event.metadata ?? undefined,
    traceparent: envelope.traceparent ?? undefined,
    source_id: source?.id,
    source_epoch: source?.epoch,
    source_seq: source?.seq,
    historical: envelope.historical ?? false,
    extra: extraOf(envelope),
  }
}

function extraOf(envelope: Event): Extra | undefined {
  const { app, entity, event, source } = envelope
  const parts: [Part, Record<string, unknown> | null | undefined][] = [
    ['top', envelope],
    ['app', app],
    ['entity', entity],
    ['event', event],
    ['source', source],
  ]
  let extra: Extra | undefined
  for (const [part, object] of parts) {
    for (const name in object) {
      if (known[part].has(name)) continue
      extra ??= {}
      extra[part] ??= {}
      // Defined, not assigned: a field may be called __proto__.
      Object.defineProperty(extra[part], name, {
        value: object[name],
        enumerable: true,
        configurable: true,
        writable: true,
      })
    }
  }
  return extra
}
