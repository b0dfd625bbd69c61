import { SpanKind, SpanStatusCode } from '@opentelemetry/api'
import { type Resource, resourceFromAttributes } from '@opentelemetry/resources'
import type { ReadableSpan } from '@opentelemetry/sdk-trace'
import type { Event } from '../../core/event.ts'
import { type JobSpan, spanAttributes } from '../../core/event-span.ts'
import { version } from '../../platform/version.ts'

type Attributes = Record<string, string | number | boolean>

/** Makes spans that are sent together: those of one app and site share their resource. */
export class SpanMaker {
  readonly #resources = new Map<string, Resource>()

  make(event: Event, span: JobSpan): ReadableSpan {
    const { traceId, spanId, parentSpanId, linkedSpanId } = span
    const toContext = (id: string) => ({ traceId, spanId: id, traceFlags: 1, isRemote: true })
    return {
      name: span.name,
      kind: SpanKind.INTERNAL,
      spanContext: () => ({ traceId, spanId, traceFlags: 1 }),
      ...(parentSpanId === undefined ? {} : { parentSpanContext: toContext(parentSpanId) }),
      links: linkedSpanId === undefined ? [] : [{ context: toContext(linkedSpanId) }],
      startTime: toHrTime(span.startUs),
      endTime: toHrTime(span.endUs),
      duration: toHrTime(span.endUs - span.startUs),
      status: toStatus(span),
      attributes: toAttributes(event),
      resource: this.#toResource(event),
      instrumentationScope: { name: 'wafermon', version },
      events: [],
      ended: true,
      ...{ droppedAttributesCount: 0, droppedEventsCount: 0, droppedLinksCount: 0 },
    }
  }

  #toResource({ app, site_id }: Event): Resource {
    const key = JSON.stringify([app.name, app.version, site_id])
    const known = this.#resources.get(key)
    if (known) return known
    const made = resourceFromAttributes({
      'service.name': app.name,
      'service.namespace': site_id,
      ...(app.version ? { 'service.version': app.version } : {}),
    })
    this.#resources.set(key, made)
    return made
  }
}

const toHrTime = (us: bigint): [number, number] => [
  Number(us / 1_000_000n),
  Number(us % 1_000_000n) * 1000,
]

function toStatus({ status, error }: JobSpan): ReadableSpan['status'] {
  if (status === 'failed') return { code: SpanStatusCode.ERROR, message: error ?? '' }
  return { code: status === 'succeeded' ? SpanStatusCode.OK : SpanStatusCode.UNSET }
}

function toAttributes(event: Event): Attributes {
  const attributes: Attributes = {}
  for (const { name, read } of spanAttributes) {
    const value = read(event)
    if (value === undefined || value === null) continue
    attributes[`wafermon.${name}`] = typeof value === 'object' ? String(value) : (value as string)
  }
  const { metrics, metadata } = event.event
  for (const [name, value] of Object.entries(metrics ?? {})) {
    attributes[`wafermon.metrics.${name}`] = Number(value)
  }
  if (metadata) attributes['wafermon.metadata'] = JSON.stringify(metadata)
  return attributes
}
