import type { Logger } from 'pino'
import type { Lifecycle } from './lifecycle.ts'
import type { Metrics } from './metrics.ts'

/** What every role works with. */
export type RoleContext = { log: Logger; life: Lifecycle; metrics: Metrics }

/** What a role is started with: `insecure` lets it listen beyond loopback without tokens. */
export type StartContext = RoleContext & { insecure: boolean }

/** What a role reports once it listens. */
export type RoleReady = { url: string }
