import type { Admitted, Verdict } from '../core/admission.ts'
import { type Event, isTick } from '../core/event.ts'
import { toMarks } from '../core/event-marks.ts'
import { ensure } from '../core/must.ts'
import { toMs } from '../core/time.ts'
import { type SeenKeys, toKey } from './seen-keys.ts'
import type { Row, Statements } from './statements.ts'

/** The last seq given, the last number under the epoch of this opening, and the bytes up to there. */
export type Position = { seq: number; given: number; bytes: number }

/** `rows`: what was stored, as it is on disk. */
export type Written = Position & { verdicts: Verdict[][]; rows: Row[] }

const shed: Verdict = {
  later: 'the spool is filling up; progress and metric events are refused for now',
}

/** Writes the events of one transaction, some rows a statement: calling SQLite costs what a row does. */
export class EventWriter {
  readonly #statements: Statements
  readonly #keys: SeenKeys

  constructor(statements: Statements, keys: SeenKeys) {
    this.#statements = statements
    this.#keys = keys
  }

  /**
   * Within a transaction. Numbers are given in the order of the events; what is refused gets none.
   *
   * @param room `ends`: progress and metric events are refused
   */
  write(
    groups: readonly (readonly Admitted[])[],
    room: 'all' | 'ends',
    { seq, given, bytes }: Position,
  ): Written {
    const items = groups.flat()
    const verdicts = this.#judge(items, room)
    const values: Values = []
    const rows: Row[] = []
    const receivedMs = readReceived()
    for (const [i, { event, json: body }] of items.entries()) {
      if (verdicts[i] !== 'stored') continue
      seq++
      bytes += Buffer.byteLength(body)
      // An event that carries the stamp of an earlier spool gets no number of ours.
      const source_seq = event.source ? null : ++given
      const { lane, eventClass } = toMarks(event)
      values.push(seq, source_seq, receivedMs(event), body, bytes, lane, eventClass)
      rows.push({ seq, source_seq, lane, class: eventClass, body })
    }
    inChunks(values, this.#statements.put)
    return { verdicts: split(verdicts, groups), seq, given, bytes, rows }
  }

  #judge(items: readonly Admitted[], room: 'all' | 'ends'): Verdict[] {
    const keys = items.map(({ event }) => toKey(event))
    const isShed = ({ event }: Admitted) => room === 'ends' && isTick(event.event.kind)
    const taken = keys.filter((_, i) => !isShed(items[i] as Admitted))
    const fresh = this.#keys.put(taken)
    ensure(fresh.length === taken.length, 'every key gets a verdict')
    let next = 0
    return items.map((item, i) => {
      if (isShed(item)) return this.#keys.has(keys[i] as Buffer) ? 'duplicate' : shed
      return fresh[next++] ? 'stored' : 'duplicate'
    })
  }
}

/** The values of rows, one row after the other. */
type Values = (number | string | null)[]
/** seq, source_seq, received_ms, body, bytes_to, lane, class */
const columns = 7

/** Reads the time of arrival, once for all events of a request: they share its text. */
function readReceived(): (event: Event) => number {
  let text = ''
  let ms = 0
  return ({ received_at }) => {
    if (received_at !== text) {
      text = received_at
      ms = Math.floor(toMs(received_at))
    }
    return ms
  }
}

function inChunks(rows: Values, put: Statements['put']): void {
  const chunk = put.chunk * columns
  const whole = rows.length - (rows.length % chunk)
  for (let i = 0; i < whole; i += chunk) put.many.run(rows.slice(i, i + chunk))
  for (let i = whole; i < rows.length; i += columns) put.one.run(rows.slice(i, i + columns))
}

function split(verdicts: readonly Verdict[], groups: readonly (readonly unknown[])[]): Verdict[][] {
  let from = 0
  return groups.map(({ length }) => {
    from += length
    return verdicts.slice(from - length, from)
  })
}

/** Characters of the events as they are written: about as many bytes. */
export const sizeOf = (groups: readonly (readonly Admitted[])[]) =>
  groups.flat().reduce((sum, { json }) => sum + json.length, 0)
