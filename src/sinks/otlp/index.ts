import { defineSink } from '../kind.ts'
import { settings } from './settings.ts'

/** Any receiver of OpenTelemetry traces. */
export const otlp = defineSink({
  type: 'otlp',
  about: 'Any receiver of OTLP over HTTP, in protobuf, by `POST /v1/traces`: a span for each job.',
  settings,
  // What is sent of an event is less than its text, and collectors take 20 MiB.
  limits: { events: 1000, bytes: 4 * 2 ** 20 },
  ordered: false,
  open: async (settings, context) => (await import('./open.ts')).openOtlp(settings, context),
})
