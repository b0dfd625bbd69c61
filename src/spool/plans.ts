/**
 * A sink as the operator configured it; a name alone is one that is required and begins with the oldest event.
 * `enabled`: false where it is offered nothing. `type`: its kind, to be shown.
 */
export type SinkPlan =
  | {
      name: string
      type?: string
      enabled?: boolean
      required?: boolean
      from?: 'oldest' | 'now'
    }
  | string

export type NamedPlan = Exclude<SinkPlan, string>

export const toPlan = (plan: SinkPlan): NamedPlan =>
  typeof plan === 'string' ? { name: plan } : plan

/** The sinks that are configured now: the list may be replaced while the spool is open. */
export class Plans {
  #all: readonly NamedPlan[]

  constructor(plans: readonly SinkPlan[]) {
    this.#all = plans.map(toPlan)
  }

  get all(): readonly NamedPlan[] {
    return this.#all
  }

  /** Names of those that are offered events. */
  get names(): string[] {
    return this.#all.filter(({ enabled = true }) => enabled).map(({ name }) => name)
  }

  get(sink: string): NamedPlan | undefined {
    return this.#all.find(({ name }) => name === sink)
  }

  replace(plans: readonly SinkPlan[]): void {
    this.#all = plans.map(toPlan)
  }
}
