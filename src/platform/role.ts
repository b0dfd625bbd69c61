import type { Logger } from 'pino'
import type { Lifecycle } from './lifecycle.ts'
import type { Metrics } from './metrics.ts'

/** The means of every role. */
export type RoleContext = { log: Logger; life: Lifecycle; metrics: Metrics }

/** The context of a start: `insecure` lets the role listen beyond loopback without tokens. */
export type StartContext = RoleContext & { insecure: boolean }

/** The report of a role that listens. */
export type RoleReady = { url: string }
