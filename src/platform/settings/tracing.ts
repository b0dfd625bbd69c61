import * as z from 'zod'
import { withWarning } from './group.ts'
import { flag, httpUrl, text } from './kinds.ts'

const settings = z.object({
  ENVIRONMENT: text('Environment name in traces.').default('production'),
  ENABLE_TRACING: flag('Send OpenTelemetry traces to OTLP_ENDPOINT.', false),
  OTLP_ENDPOINT: httpUrl(
    'Collector that takes OTLP over HTTP, usually on port 4318; 4317 is gRPC and does not work. If not set: OTEL_EXPORTER_OTLP_ENDPOINT, else http://localhost:4318.',
  ).optional(),
})

export const tracingSettings = withWarning(settings, ({ ENABLE_TRACING, OTLP_ENDPOINT }, env) => {
  const collector = String(OTLP_ENDPOINT ?? env.OTEL_EXPORTER_OTLP_ENDPOINT)
  const isGrpc = URL.canParse(collector) && new URL(collector).port === '4317'
  return ENABLE_TRACING && isGrpc
    ? 'OTLP_ENDPOINT: port 4317 is OTLP over gRPC; traces are sent over HTTP, use port 4318'
    : undefined
})
