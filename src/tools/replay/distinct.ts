import { fromMicros, type Micros, toMicros } from '../../core/time.ts'
import { Lru } from '../../platform/lru.ts'

/** Of one job at one time: what its first event said, and how many there were. */
type Moment = { first: string; count: number }

/**
 * Makes the times of events of one job distinct, by adding microseconds in the order in which they are given:
 * a clock of one second would otherwise leave it to chance whether a job failed or succeeded last.
 *
 * A repeat of an event gets the time of the first. What is remembered is bounded: the order of two events
 * holds unless over 20,000 others, of other jobs or times, come between them.
 */
export class DistinctTimes {
  readonly #moments: Lru<string, Moment>
  readonly #later: Lru<string, number>

  constructor(max = 20_000) {
    this.#moments = new Lru(max)
    this.#later = new Lru(max)
  }

  /**
   * @param job the job, and its attempt
   * @param print differs for events that say different things
   */
  take(job: string, at: Micros, print: string): Micros {
    const place = `${job} ${at}`
    const moment = this.#moments.get(place)
    if (!moment) this.#moments.set(place, { first: print, count: 1 })
    if (!moment || moment.first === print) return at
    const own = `${place} ${print}`
    const index = this.#later.get(own) ?? moment.count++
    this.#later.set(own, index)
    return fromMicros(toMicros(at) + BigInt(index))
  }
}
