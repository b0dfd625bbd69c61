import { fromMs } from '../core/time.ts'
import { clock } from '../platform/clock.ts'
import type { SinkAccount } from './accounts.ts'
import type { Drain } from './drain.ts'
import type { NamedPlan } from './plans.ts'
import type { Spool } from './spool.ts'

/** The states of a sink: `stopped` until an operator acts, `detached` while it is not configured. */
export type SinkState = 'ok' | 'failing' | 'stopped' | 'detached' | 'disabled'

/** A sink as the API shows it; names are those of the wire. */
export type Integration = {
  name: string
  /** Null for one that is not configured. */
  type: string | null
  required: boolean
  state: SinkState
  lag_events: number
  lag_s: number
  lag_bytes: number
  delivered: number
  filtered: number
  rejects: number
  skipped: number
  /** In a row. */
  failures: number
  last_error: string | null
  last_delivery_at: string | null
}

/** @param drain absent while nothing is offered to it, as before a start */
export function toSinkState(
  { detached, disabled, paused }: SinkAccount,
  drain: Drain | undefined,
): SinkState {
  if (detached) return 'detached'
  if (disabled) return 'disabled'
  if (paused || !drain) return 'stopped'
  const { failures, isStopped } = drain.state
  return failures === 0 ? 'ok' : isStopped ? 'stopped' : 'failing'
}

/** Why it is offered nothing, where an operator wants it so. */
export const describePause = ({ name, paused }: SinkAccount) =>
  paused &&
  (paused.unknown
    ? paused.reason
    : `paused by an operator since ${paused.at} (${paused.reason}); resume it with wafermon spool sinks resume ${name}`)

/** Age of the oldest event that a sink is owed, in seconds; of any sink unless it is named. */
export function lagSeconds(spool: Spool, sink?: string): number {
  const ms = spool.oldestMs(sink)
  return ms === undefined ? 0 : Math.max(0, clock.nowMs() - ms) / 1000
}

/** Every sink that is configured, in the order of the configuration, and then those that events are kept for. */
export function listIntegrations(spool: Spool, drains: readonly Drain[]): Integration[] {
  const { plans } = spool.accounts
  const accounts = spool.accounts.list()
  const planned = plans.map((plan) => {
    const account = accounts.find(({ name }) => name === plan.name)
    return account ? describe(spool, account, drains) : describeUnbegun(plan)
  })
  const others = accounts.filter(({ detached }) => detached)
  return [...planned, ...others.map((account) => describe(spool, account, drains))]
}

function describe(spool: Spool, account: SinkAccount, drains: readonly Drain[]): Integration {
  const { name, required, delivered, filtered, skipped } = account
  const drain = drains.find(({ sink }) => sink === name)
  const { failures = 0, lastError, lastDeliveryMs = 0 } = drain?.state ?? {}
  return {
    ...{ name, type: spool.accounts.plan(name)?.type ?? null, required },
    ...{ state: toSinkState(account, drain), lag_events: account.lag },
    ...{ lag_s: lagSeconds(spool, name), lag_bytes: account.lagBytes },
    ...{ delivered, filtered, rejects: spool.rejects.count(name).count, skipped, failures },
    last_error: describePause(account) ?? lastError ?? null,
    last_delivery_at: lastDeliveryMs === 0 ? null : fromMs(lastDeliveryMs),
  }
}

/** One that is not enabled and never was: it is owed nothing. */
const describeUnbegun = ({ name, type, required = true }: NamedPlan): Integration => ({
  ...{
    name,
    type: type ?? null,
    required,
    state: 'disabled',
    lag_events: 0,
    lag_s: 0,
    lag_bytes: 0,
  },
  ...{ delivered: 0, filtered: 0, rejects: 0, skipped: 0, failures: 0 },
  ...{ last_error: null, last_delivery_at: null },
})
