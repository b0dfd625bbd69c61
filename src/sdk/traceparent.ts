/** W3C trace context, usually version 00; an all-zero id is invalid. */
const form = /^[\da-f]{2}-(?!0{32})[\da-f]{32}-[\da-f]{16}-[\da-f]{2}$/

export function isTraceparent(value: unknown): value is string {
  return typeof value === 'string' && form.test(value)
}

type SpanContext = { traceId: string; spanId: string; traceFlags: number }
type Registry = {
  context?: { active(): { getValue(key: symbol): { spanContext(): SpanContext } | undefined } }
}

/** Where @opentelemetry/api (1.x) keeps its parts, and under which key the active span. */
const registry = Symbol.for('opentelemetry.js.api.1')
const spanKey = Symbol.for('OpenTelemetry Context Key SPAN')

/**
 * The traceparent of the span that is active in the program, if the program uses OpenTelemetry.
 * Read from where its API keeps it, so that the SDK need not depend on it. Never throws.
 */
export function activeTraceparent(): string | undefined {
  try {
    const api = (globalThis as { [registry]?: Registry })[registry]
    const span = api?.context?.active().getValue(spanKey)?.spanContext()
    if (!span) return undefined
    // Of the flags only two have a meaning: sampled, and random id.
    const text = `00-${span.traceId}-${span.spanId}-0${span.traceFlags & 3}`
    return isTraceparent(text) ? text : undefined
  } catch {
    return undefined
  }
}
