import type { Logger } from 'pino'
import type { Lifecycle } from './lifecycle.ts'
import type { Metrics } from './metrics.ts'

/** What main hands to every role. */
export type RoleContext = { log: Logger; life: Lifecycle; metrics: Metrics }

/** What a role says once it listens. */
export type RoleReady = { url: string }
