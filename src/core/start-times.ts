import type { Accept } from './admission.ts'
import type { Event } from './event.ts'
import type { Micros } from './time.ts'

/** Jobs of a generation; at about 150 bytes each, two of them are 20 MB at most. */
const defaultSize = 65_536

/**
 * When jobs started whose start passed here: of several starts the earliest. It lets the first hop
 * repeat `started_at` on the events of programs that do not.
 *
 * It may forget, and a restart forgets all. That changes no state: what a hop adds is marked, and
 * the fold takes it for one more `started`, of which there is one that says the same.
 *
 * The `size` jobs that were used last are always remembered, and never more than twice as many. Jobs
 * live in two generations: a used job moves to the young one; when that is full it becomes the old
 * one, and the old one is forgotten whole. So no call ever searches for the job to forget, and a call
 * costs the same after a million jobs as after a thousand.
 */
export class StartTimes {
  #young = new Map<string, Micros>()
  #old = new Map<string, Micros>()
  readonly #size: number

  constructor(size = defaultSize) {
    this.#size = size
  }

  /**
   * Learns from an event that was taken in. Not from one whose clock was corrected: each copy of it
   * has another time, and the first copy to be stored decides, which may have come another way. Not
   * from a later attempt: the start of a job is that of its first.
   */
  see({ event, entity }: Event): void {
    if (event.kind !== 'started' || event.reported_at || event.reported_started_at) return
    if ((entity.attempt ?? 1) > 1) return
    const start = event.started_at ?? event.at
    const known = this.startOf(entity)
    this.#remember(nameOf(entity), known !== undefined && known < start ? known : start)
  }

  startOf(entity: Event['entity']): Micros | undefined {
    const name = nameOf(entity)
    const young = this.#young.get(name)
    if (young !== undefined) return young
    const old = this.#old.get(name)
    if (old !== undefined) this.#remember(name, old)
    return old
  }

  #remember(name: string, start: Micros): void {
    this.#young.set(name, start)
    if (this.#young.size < this.#size) return
    this.#old = this.#young
    this.#young = new Map()
  }
}

/** A job and a subjob of one id are two. */
const nameOf = ({ type, id }: Event['entity']) => (type === 'subjob' ? `s${id}` : id)

/** Accepts as `accept` does, and learns the starts among what is new. */
export function withStartTimes(accept: Accept, times: StartTimes): Accept {
  return async (items) => {
    const verdicts = await accept(items)
    for (const [i, { event }] of items.entries()) if (verdicts[i] === 'stored') times.see(event)
    return verdicts
  }
}
