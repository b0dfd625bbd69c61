import type { Logger } from 'pino'
import type { Lifecycle } from './lifecycle.ts'
import type { Metrics } from './metrics.ts'

/** The means of every role. */
export type RoleContext = { log: Logger; life: Lifecycle; metrics: Metrics }

/** The context of a start: `insecure` lets the role listen beyond loopback without tokens. */
export type StartContext<C = unknown> = RoleContext & {
  insecure: boolean
  /** Reads the settings as they are now. @throws ConfigError that names every problem */
  readAgain: () => Settings<C>
}

/** The settings of a role, and what its operator should see. */
export type Settings<C> = { config: C; warnings: string[] }

/** The report of a role that listens. */
export type RoleReady = { url: string }
