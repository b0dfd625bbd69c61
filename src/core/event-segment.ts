import { cutMetadata } from './cut-metadata.ts'
import type { Refusal } from './delivery.ts'
import type { Event } from './event.ts'
import { isRefusal, type JobSpan, spanAttributes, toSpan } from './event-span.ts'

/*
 * The span of a job as a document of AWS X-Ray: a segment for a job, a subsegment for a subjob. The attributes of
 * spans are annotations, by which X-Ray searches; metrics and metadata are its metadata.
 */

/** Maximum bytes of a document. */
export const maxDocumentBytes = 65_536
/** Metrics and metadata are cut to so many bytes, each. */
const maxMetadataBytes = 8 * 1024
const maxAnnotation = 1000
const maxName = 200

/** A document with the id by which an answer names it. */
export type SegmentDocument = { id: string; document: string }

/**
 * The document of the job that an event ends.
 *
 * @param service name of the service; undefined for the name of the app
 * @returns undefined when the event does not end its job; why there can be no document of it, by field
 */
export function toSegment(
  event: Event,
  service: string | undefined,
): SegmentDocument | Refusal | undefined {
  const span = toSpan(event)
  if (span === undefined || isRefusal(span)) return span
  const document = JSON.stringify(describe(event, span, service))
  const bytes = Buffer.byteLength(document)
  if (bytes <= maxDocumentBytes) return { id: span.spanId, document }
  const detail = `makes a segment of ${bytes} bytes; X-Ray takes ${maxDocumentBytes}`
  return { field: '', detail }
}

function describe(event: Event, span: JobSpan, service: string | undefined) {
  const { traceId, spanId, parentSpanId, status, error } = span
  const { metrics, metadata } = event.event
  return {
    name: toName(service ?? span.name),
    id: spanId,
    trace_id: `1-${traceId.slice(0, 8)}-${traceId.slice(8)}`,
    ...(parentSpanId === undefined ? {} : { parent_id: parentSpanId }),
    ...(event.entity.type === 'subjob' && parentSpanId !== undefined ? { type: 'subsegment' } : {}),
    start_time: Number(span.startUs) / 1e6,
    end_time: Number(span.endUs) / 1e6,
    ...(status === 'failed' ? { fault: true, cause: toCause(spanId, error ?? '', metadata) } : {}),
    annotations: toAnnotations(event),
    metadata: {
      wafermon: {
        ...(metrics ? { metrics: cutMetadata({ ...metrics }, maxMetadataBytes) } : {}),
        ...(metadata ? { metadata: cutMetadata(metadata, maxMetadataBytes) } : {}),
      },
    },
  }
}

/** Names have letters, digits, spaces and a few signs. */
const toName = (text: string) =>
  text
    .replaceAll(/[^\p{L}\p{N} _.:/%&#=+\-@]/gu, '_')
    .slice(0, maxName)
    .replace(/[\ud800-\udbff]$/, '')

const toCause = (id: string, message: string, metadata: Event['event']['metadata']) => ({
  exceptions: [
    {
      id,
      message: cut(message),
      ...(typeof metadata?.error_type === 'string' ? { type: cut(metadata.error_type) } : {}),
    },
  ],
})

const cut = (text: string) => text.slice(0, maxAnnotation).toWellFormed()

function toAnnotations(event: Event): Record<string, string | number | boolean> {
  const annotations: Record<string, string | number | boolean> = { app_name: cut(event.app.name) }
  for (const { name, read } of spanAttributes) {
    const value = read(event)
    if (value === undefined || value === null || value === '') continue
    const isPlain = typeof value === 'number' || typeof value === 'boolean'
    annotations[name] = isPlain ? value : cut(String(value))
  }
  return annotations
}
