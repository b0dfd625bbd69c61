import { context, propagation, trace } from '@opentelemetry/api'
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks'
import { W3CTraceContextPropagator } from '@opentelemetry/core'
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http'
import { detectResources, envDetector, resourceFromAttributes } from '@opentelemetry/resources'
import { BatchSpanProcessor, TracerProvider } from '@opentelemetry/sdk-trace'
import { version } from './version.ts'

export type TracingOptions = {
  /** Address of the collector; without it, that of the standard `OTEL_*` variables. */
  endpoint: string | undefined
  /** Name of the role, unless the operator gave another. */
  service: string
  environment: string
}

/** Loaded only when tracing is on. @returns what sends the last spans and stops. */
export function installTracing({ endpoint, service, environment }: TracingOptions) {
  const own = resourceFromAttributes({
    'service.name': service,
    'service.version': version,
    'deployment.environment.name': environment,
  })
  const exporter = new OTLPTraceExporter(endpoint === undefined ? {} : { url: tracesAt(endpoint) })
  const provider = new TracerProvider({
    resource: detectResources({ detectors: [envDetector] }).merge(own),
    spanProcessors: [new BatchSpanProcessor({ exporter })],
  })
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable())
  propagation.setGlobalPropagator(new W3CTraceContextPropagator())
  trace.setGlobalTracerProvider(provider)
  return () => provider.shutdown()
}

const tracesAt = (endpoint: string) =>
  endpoint.endsWith('/v1/traces') ? endpoint : `${endpoint}/v1/traces`
