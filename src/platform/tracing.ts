import {
  type Attributes,
  context,
  propagation,
  type Span,
  SpanKind,
  SpanStatusCode,
  type Context as TraceContext,
  trace,
} from '@opentelemetry/api'
import type { Context, MiddlewareHandler } from 'hono'
import type { Lifecycle } from './lifecycle.ts'
import type { TracingOptions } from './tracing-sdk.ts'
import { version } from './version.ts'

/**
 * Traces. The API package alone costs next to nothing; the SDK is loaded only when tracing is
 * switched on, and until then every span below is a no-op.
 */
const tracer = () => trace.getTracer('wafermon', version)

/** Starts sending spans to an OTLP collector over HTTP, in batches, until the role stops. */
export async function startTracing(
  options: TracingOptions & { enabled: boolean },
  life: Lifecycle,
): Promise<void> {
  if (!options.enabled) return
  const { installTracing } = await import('./tracing-sdk.ts')
  enabled = true
  const stop = installTracing(options)
  life.onStop('tracing', stop)
}

/** Runs `work` in a span of its own; a failure is recorded on it and thrown on. */
export async function inSpan<T>(
  name: string,
  attributes: Attributes,
  work: (span: Span) => Promise<T>,
  parent: TraceContext = context.active(),
): Promise<T> {
  return tracer().startActiveSpan(name, { attributes }, parent, async (span) => {
    try {
      return await work(span)
    } catch (error) {
      span.setStatus({ code: SpanStatusCode.ERROR, message: (error as Error).message })
      throw error
    } finally {
      span.end()
    }
  })
}

/** The W3C `traceparent` of the active span, if there is one. */
export function activeTraceparent(): string | undefined {
  const carrier: { traceparent?: string } = {}
  propagation.inject(context.active(), carrier)
  return carrier.traceparent
}

/** The context that a `traceparent` speaks of, as a parent for spans. */
export function contextOf(traceparent: string | undefined): TraceContext {
  return traceparent === undefined
    ? context.active()
    : propagation.extract(context.active(), { traceparent })
}

/** Most traces of one batch that get a span each; the span of the request stands for the rest. */
const maxTraces = 100
let enabled = false

/**
 * Runs `work` under a span in every trace that a batch carries, so that the trace a program began
 * shows each hop its events took. Each span links to the request in which they came.
 */
export async function inTracesOf<T>(
  name: string,
  traceparents: Iterable<string | null | undefined>,
  work: () => Promise<T>,
): Promise<T> {
  if (!enabled) return work()
  const distinct = [...new Set(traceparents)].filter((text) => !!text).slice(0, maxTraces)
  const request = trace.getActiveSpan()?.spanContext()
  const links = request ? [{ context: request }] : []
  const spans = distinct.map((text) => tracer().startSpan(name, { links }, contextOf(text!)))
  // Work for a single trace belongs to it; work for many belongs to the request.
  const [only] = spans
  const inside = only && spans.length === 1 ? trace.setSpan(context.active(), only) : undefined
  try {
    return await (inside ? context.with(inside, work) : work())
  } catch (error) {
    for (const span of spans) span.setStatus({ code: SpanStatusCode.ERROR })
    throw error
  } finally {
    for (const span of spans) span.end()
  }
}

/** Fields for log lines: the trace and span that are active. */
export function traceFields(): object {
  const span = trace.getActiveSpan()?.spanContext()
  return span ? { trace_id: span.traceId, span_id: span.spanId } : {}
}

/**
 * A span per request, child of the caller's when it sent a `traceparent`.
 *
 * @param endpointOf the pattern of the route, known once it has answered: a name for many spans
 */
export function serverSpan(endpointOf: (c: Context) => string): MiddlewareHandler {
  return async (c, next) => {
    const parent = contextOf(c.req.header('traceparent'))
    const attributes = { 'http.request.method': c.req.method, 'url.path': c.req.path }
    const options = { kind: SpanKind.SERVER, attributes }
    await tracer().startActiveSpan(c.req.method, options, parent, async (span) => {
      try {
        await next()
        span.updateName(`${c.req.method} ${endpointOf(c)}`)
        span.setAttribute('http.response.status_code', c.res.status)
        if (c.res.status >= 500) span.setStatus({ code: SpanStatusCode.ERROR })
      } finally {
        span.end()
      }
    })
  }
}
