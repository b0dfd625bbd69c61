import { randomUUID } from 'node:crypto'
import { forgetAfterS, type KnownSenders, maxSources, SenderClocks } from '../core/sender-clocks.ts'
import type { Store, TransactionSql } from './connect.ts'

/*
 * The clocks behind each spool. It takes many events to tell one that is behind, they come in many batches, and
 * those of one spool may reach different local APIs. So each keeps what it saw in memory, writes it to a row of its
 * own, and judges by the rows of all: whichever stores the next batch then says the same.
 */

/** How often what others know is read, and how often what this process knows is written at least, in milliseconds. */
const [lookMs, tellMs] = [1000, 10_000]

/** A verdict that changed by more than this is written at once, in seconds. */
const newsS = 10

type Told = { lookedMs: number; toldMs: number; offset: number; name: string | null }

/** What one process knows, and when it last exchanged that with others. */
export class SharedClocks {
  readonly clocks = new SenderClocks()
  readonly #writer = randomUUID()
  readonly #told = new Map<string, Told>()

  /**
   * Reads what other processes know of these sources, and writes what this one does, as far as either is due. To be
   * called before the rows of the sources are locked, in the order of their ids.
   */
  async exchange(tx: TransactionSql, sources: readonly string[]): Promise<void> {
    const nowMs = performance.now()
    const due = sources.filter(
      (id) => nowMs - (this.#told.get(id)?.lookedMs ?? -Infinity) >= lookMs,
    )
    const news = sources.filter((id) => this.#isNews(id, nowMs))
    if (due.length + news.length === 0) return
    const rows = news.map((id) => ({ id, senders: this.clocks.known(id) }))
    const asked = [...new Set([...due, ...news])]
    const others = await tx<{ sourceId: string; senders: KnownSenders }[]>`
      /* ingest.exchangeClocks */
      with told as (
        insert into sender_clock as c (source_id, writer, senders)
        select r.id, ${this.#writer}, r.senders
        from json_to_recordset(${JSON.stringify(rows)}::text::json) as r (id text, senders jsonb) order by 1
        on conflict (source_id, writer) do update set senders = excluded.senders, noted_at = clock_timestamp())
      select source_id, senders from sender_clock
      where source_id = any(${asked}) and writer <> ${this.#writer}
        and noted_at > clock_timestamp() - make_interval(secs => ${forgetAfterS})`
    for (const id of asked) {
      const senders = others.filter((row) => row.sourceId === id).map((row) => row.senders)
      this.clocks.learn(id, senders)
      this.#note(id, nowMs, news.includes(id))
    }
  }

  #isNews(id: string, nowMs: number): boolean {
    const told = this.#told.get(id)
    if (told === undefined || nowMs - told.toldMs >= tellMs) return true
    const { offset, name } = this.clocks.worst(id)
    return name !== told.name || Math.abs(offset - told.offset) > newsS
  }

  #note(id: string, nowMs: number, isTold: boolean): void {
    const before = this.#told.get(id)
    const toldMs = isTold ? nowMs : (before?.toldMs ?? -Infinity)
    this.#told.delete(id)
    this.#told.set(id, { lookedMs: nowMs, toldMs, ...this.clocks.worst(id) })
    const [first] = this.#told.keys()
    if (this.#told.size > maxSources && first !== undefined) this.#told.delete(first)
  }
}

const shared = new WeakMap<Store, SharedClocks>()

/** The clocks that a store knows. */
export function clocksOf(store: Store): SharedClocks {
  const known = shared.get(store) ?? new SharedClocks()
  shared.set(store, known)
  return known
}

/** Deletes what processes knew that have ended, or have heard nothing of a source for long. */
export async function trimSenderClocks(store: Store): Promise<void> {
  await store.ask(
    { operation: 'trimSenderClocks', table: 'sender_clock' },
    (sql) => sql`
      /* maintenance.trimSenderClocks */
      delete from sender_clock
      where noted_at < clock_timestamp() - make_interval(secs => ${2 * forgetAfterS})`,
  )
}
