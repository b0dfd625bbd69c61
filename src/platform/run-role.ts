import { watchClock } from './clock.ts'
import { Lifecycle } from './lifecycle.ts'
import { LineWriter, openStandard } from './line-writer.ts'
import { createLog } from './log.ts'
import { watchLoopLag } from './loop-lag.ts'
import { Metrics } from './metrics.ts'
import { tellReady } from './parent.ts'
import type { RoleContext, RoleReady, Settings, StartContext } from './role.ts'
import type { SharedConfig } from './settings/shared.ts'
import { startTracing, traceFields } from './tracing.ts'

export type Start<C> = (config: C, context: StartContext<C>) => Promise<RoleReady>

/**
 * Runs one role in this process until it is asked to stop. When it cannot start, what it has opened
 * is closed and the error is thrown.
 *
 * @param read reads its settings; it throws a ConfigError that names every problem
 */
export async function runRole<C extends SharedConfig>(
  name: string,
  read: () => Settings<C>,
  insecure: boolean,
  start: Start<C>,
): Promise<void> {
  const { config, warnings } = read()
  const service = config.SERVICE_NAME ?? name
  const metrics = new Metrics()
  const log = createLog({
    service,
    level: config.LOG_LEVEL,
    json: config.JSON_LOGS,
    destination: new LineWriter(openStandard(1), { onDrop: () => metrics.logLinesDropped.inc() }),
    ...(config.ENABLE_TRACING ? { mixin: traceFields } : {}),
  })
  for (const warning of warnings) log.warn({ warning }, 'configuration warning')
  logUnhandled(log)
  const life = new Lifecycle(log)
  life.stopOnSignal(config.SHUTDOWN_TIMEOUT_S)
  watchClock(log, life.signal)
  await startTracing(
    {
      enabled: config.ENABLE_TRACING,
      endpoint: config.OTLP_ENDPOINT,
      service: config.SERVICE_NAME ?? process.env.OTEL_SERVICE_NAME ?? name,
      environment: config.ENVIRONMENT,
    },
    life,
  )
  watchLoopLag(metrics, life.signal)
  try {
    const { url } = await start(config, { log, life, metrics, insecure, readAgain: read })
    if (life.signal.aborted) return
    log.info({ url }, 'listening')
    tellReady(url)
  } catch (error) {
    const asked = life.signal.aborted
    await life.stop(config.SHUTDOWN_TIMEOUT_S)
    // Stopped while it was starting: not a failure.
    if (!asked) throw error
  }
}

/** A bug must show in the log and end the process: the supervisor starts a clean one. */
function logUnhandled(log: RoleContext['log']): void {
  const die = (error: unknown) => {
    log.fatal({ error }, 'unexpected failure')
    process.exit(70)
  }
  process.on('uncaughtException', die)
  process.on('unhandledRejection', die)
}
