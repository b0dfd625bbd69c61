import { randomBytes } from 'node:crypto'
import { clock } from '../platform/clock.ts'
import type { Db } from './db.ts'
import { epochPattern } from './schema.ts'
import { isSourceId } from './source-id.ts'
import { stamp } from './stamp.ts'
import type { Row } from './statements.ts'

/** The events from `firstSeq` on, up to the next of these, have their numbers under this epoch. */
export type Epoch = { firstSeq: number; sourceId: string; epoch: string }

/**
 * Under which id and epoch events were given their numbers. Every opening of a spool has an epoch of
 * its own: what is on disk cannot tell a folder that continues from one that was restored or copied,
 * and a number that is given twice costs the second event. An opening that gives no number leaves no
 * trace, so a full disk does not keep a spool from opening, and receivers see no idle restarts.
 */
export class Epochs {
  readonly sourceId: string
  /** The epoch of this opening. */
  readonly epoch: string
  readonly #db: Db
  #all: Epoch[]
  #given = 0

  /** @param sourceId the id for new numbers; numbers that were given before keep theirs */
  constructor(db: Db, sourceId: string) {
    this.#db = db
    this.sourceId = sourceId
    this.#all = readEpochs(db)
    this.epoch = newEpoch(this.#all.at(-1)?.epoch)
  }

  /** The last number that was given under the epoch of this opening. */
  get given(): number {
    return this.#given
  }

  /**
   * Within the transaction that gives the first number: notes whose it is.
   *
   * @param firstSeq seq of the first event of that transaction
   * @param acked up to here every event is gone
   */
  record(firstSeq: number, acked: number): void {
    if (this.#given > 0) return
    // Of events that a spool which went back in time does not have.
    this.#db.prepare('delete from epoch where first_seq >= ?').run(firstSeq)
    this.#db
      .prepare('insert into epoch (first_seq, source_id, epoch) values (?, ?, ?)')
      .run(firstSeq, this.sourceId, this.epoch)
    this.#db
      .prepare(
        'delete from epoch where first_seq < (select max(first_seq) from epoch where first_seq <= ?)',
      )
      .run(acked + 1)
  }

  /** Once that transaction, or a later one, is durable. @param given the last number now */
  recorded(firstSeq: number, given: number): void {
    if (this.#given === 0 && given > 0) {
      const { sourceId, epoch } = this
      this.#all = [
        ...this.#all.filter((one) => one.firstSeq < firstSeq),
        { firstSeq, sourceId, epoch },
      ]
    }
    this.#given = given
  }

  /** The event as it is sent, with the stamp that it was given. */
  stamp({ seq, source_seq, body }: Row): string {
    if (source_seq === null) return body
    const own = findEpoch(this.#all, seq)
    return own ? stamp(body, own.sourceId, own.epoch, source_seq) : body
  }
}

/** Under which epoch an event has its number. */
export const findEpoch = (all: readonly Epoch[], seq: number): Epoch | undefined =>
  all.findLast(({ firstSeq }) => firstSeq <= seq)

/** @throws Error when one of them cannot be true: then none can be relied on */
export function readEpochs(db: Db): Epoch[] {
  const all = db
    .prepare('select first_seq as firstSeq, source_id as sourceId, epoch from epoch order by 1')
    .all() as Epoch[]
  const sound = all.every(
    ({ firstSeq, sourceId, epoch }) =>
      Number.isSafeInteger(firstSeq) &&
      isSourceId(sourceId) &&
      epochPattern.test(epoch) &&
      isTime(epoch),
  )
  if (!sound) throw new Error('spool.db has an invalid epoch')
  return all
}

/**
 * A text whose order is the order of time, unlike any other.
 *
 * @param after the epoch before it, which may be of a clock that ran ahead
 */
export function newEpoch(after?: string, nowMs = clock.nowMs()): string {
  const now = toText(nowMs)
  const last = after?.slice(0, now.length) ?? ''
  const time = now > last ? now : toText(toMs(last) + 1)
  return `${time}-${randomBytes(8).toString('hex')}`
}

const toText = (ms: number) => new Date(ms).toISOString().replaceAll(/[-:.]/g, '')

/** A date that there is, and that leaves room for later ones. */
const isTime = (epoch: string) => toMs(epoch.split('-')[0] ?? '') < Date.UTC(9000, 0)

const toMs = (text: string) =>
  Date.parse(text.replace(/^(....)(..)(..T..)(..)(..)(...)Z$/, '$1-$2-$3:$4:$5.$6Z'))
