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
let enabled = false
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

/** Runs `work` in a span of its own; a failure is recorded on it and rethrown. */
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
  if (!enabled) return undefined
  const carrier: { traceparent?: string } = {}
  propagation.inject(context.active(), carrier)
  return carrier.traceparent
}

/** The context that a `traceparent` names, as a parent for spans. */
function toTraceContext(traceparent: string | undefined): TraceContext {
  return traceparent === undefined
    ? context.active()
    : propagation.extract(context.active(), { traceparent })
}

/** Maximum traces of one batch with a span each; the span of the request covers the rest. */
const maxTraces = 100

/**
 * Runs `work` under a span in every trace that a batch carries, so that the trace a program began
 * shows each hop its events took. Each span links to the request in which they came.
 */
export async function runInTraces<T>(
  name: string,
  traceparents: Iterable<string | null | undefined>,
  work: () => Promise<T>,
): Promise<T> {
  if (!enabled) return work()
  const distinct = [...new Set(traceparents)].filter((text) => !!text).slice(0, maxTraces)
  const request = trace.getActiveSpan()?.spanContext()
  const links = request ? [{ context: request }] : []
  const spans = distinct.map((text) => tracer().startSpan(name, { links }, toTraceContext(text!)))
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

type ServerRequest = { method: string; path: string; traceparent: string | undefined }
/** The pattern of the route, known once it has answered: a name for many spans. */
type Answered = { endpoint: string; status: number }

/** Runs the answer to a request in a span, child of the caller's when it sent a `traceparent`. */
export async function inServerSpan(
  { method, path, traceparent }: ServerRequest,
  work: () => Promise<Answered>,
): Promise<void> {
  if (!enabled) {
    await work()
    return
  }
  const attributes = { 'http.request.method': method, 'url.path': path }
  const options = { kind: SpanKind.SERVER, attributes }
  await tracer().startActiveSpan(method, options, toTraceContext(traceparent), async (span) => {
    try {
      const { endpoint, status } = await work()
      span.updateName(`${method} ${endpoint}`)
      span.setAttribute('http.response.status_code', status)
      if (status >= 500) span.setStatus({ code: SpanStatusCode.ERROR })
    } finally {
      span.end()
    }
  })
}

/** A span per request of an app. */
export function serverSpan(toEndpoint: (c: Context) => string): MiddlewareHandler {
  return async (c, next) => {
    const { method, path } = c.req
    await inServerSpan({ method, path, traceparent: c.req.header('traceparent') }, async () => {
      await next()
      return { endpoint: toEndpoint(c), status: c.res.status }
    })
  }
}
