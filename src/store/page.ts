import type postgres from 'postgres'
import { maxListItems, maxPageBytes, measureJson } from '../core/answer-size.ts'
import { type ListPage, type Order, placeOf } from '../core/list-order.ts'
import type { Operation, Store } from './connect.ts'
import type { Sql } from './driver.ts'

/** Items up to the limit and to the bytes of a page; `more` is true when others follow. */
export type PageOf<Item> = { items: Item[]; more: boolean }

export type PageShape<Row, Item> = {
  limit: number
  toItem: (row: Row) => Item
  /** About how many bytes the item takes in an answer. */
  sizeOf: (item: Item) => number
}

/** Rows that are in memory at the same time, as they come from the database. */
const rowsAtATime = 128

/** Bytes of items that are made of them in one turn of the event loop. */
const turnBytes = 128 * 1024

/**
 * The rows of a question, in its order, as far as they fit into a page; at least one. Many are read some at
 * a time and no further than that, and others get their turn in between. A few come at once: a cursor would
 * cost a second round trip to the database.
 *
 * @param question asked for one row more than the page has room for, or it cannot be known that others follow
 * @param begun what is on the page already; it stays as it is
 * @throws as {@link Store.ask}
 */
export async function readPage<Row extends object, Item>(
  store: Store,
  op: Operation,
  question: (sql: Sql) => postgres.PendingQuery<Row[]>,
  begun: Page<Row, Item>,
  signal: AbortSignal,
): Promise<Page<Row, Item>> {
  let page = begun
  // The driver waits for all calls but the last.
  let added: Promise<unknown> = Promise.resolve()
  const isShort = begun.limit < rowsAtATime
  const rows = await store.ask(
    op,
    (sql) => {
      // A statement may run twice.
      page = begun.copy()
      if (isShort) return question(sql)
      const take = (rows: readonly Row[]) => {
        added = page.add(rows).then((isOpen) => (isOpen ? undefined : sql.CLOSE))
        return added
      }
      const reading = question(sql).cursor(rowsAtATime, take as never)
      return reading as unknown as postgres.PendingQuery<Row[]>
    },
    signal,
  )
  await (isShort ? page.add(rows) : added)
  return page
}

export type ListRows<Row extends object, Item> = {
  order: Order<Item>
  /** The list from where the page begins, in its order. @param limit rows to ask for */
  question: (sql: Sql, limit: number) => postgres.PendingQuery<Row[]>
  toItem: (row: Row) => Item
  limit?: number | undefined
}

/** A page of a list of `core/questions`. */
export async function readList<Row extends object, Item extends object>(
  store: Store,
  op: Operation,
  { order, question, toItem, limit = maxListItems }: ListRows<Row, Item>,
  signal: AbortSignal,
): Promise<ListPage<Item>> {
  const ask = (sql: Sql) => question(sql, limit + 1)
  const empty = new Page({ limit, toItem, sizeOf: measureJson })
  const { items, more } = await readPage(store, op, ask, empty, signal)
  const last = more ? items.at(-1) : undefined
  return { items, next: last ? placeOf(order, last) : null }
}

/** An empty page, or one that is read in several questions. */
export class Page<Row, Item> implements PageOf<Item> {
  readonly items: Item[] = []
  more = false
  readonly #shape: PageShape<Row, Item>
  #bytes = 0

  constructor(shape: PageShape<Row, Item>) {
    this.#shape = shape
  }

  /** How many items it has room for. */
  get limit(): number {
    return this.#shape.limit
  }

  copy(): Page<Row, Item> {
    const page = new Page(this.#shape)
    for (const item of this.items) page.items.push(item)
    page.#bytes = this.#bytes
    return page
  }

  /** @returns false when it is full, and others would follow */
  async add(rows: readonly Row[]): Promise<boolean> {
    const { limit, toItem, sizeOf } = this.#shape
    let turnEnds = this.#bytes + turnBytes
    for (const row of rows) {
      if (this.#bytes > turnEnds) {
        await new Promise(setImmediate)
        turnEnds = this.#bytes + turnBytes
      }
      const item = toItem(row)
      this.#bytes += sizeOf(item)
      const isFull = this.items.length === limit || this.#bytes > maxPageBytes
      this.more = isFull && this.items.length > 0
      if (this.more) return false
      this.items.push(item)
    }
    return true
  }
}
