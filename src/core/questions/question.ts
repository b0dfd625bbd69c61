import type { Order } from '../list-order.ts'
import type { Table } from '../wire-table.ts'

/**
 * A question that is answered with a list, such as `GET /v1/apps`: everything that asking it
 * needs, declared once. Readers know only this. Remote sites are asked by `path`, `toQuery` and
 * `table`, several sites are merged by `forSite` and `merge`; the store answers by name
 * (`src/store/answers.ts`), and the API has a route for it (`src/api`).
 *
 * What a declaration guarantees:
 * - `name` and `path` belong to one question.
 * - `toQuery` writes what the route at `path` reads, and leaves out what is not given.
 * - `table` reads what it writes, and what older sites write.
 * - `merge` of what the sites answer to `forSite` is what one store of all sites would answer, but
 *   for what cannot be known from answers, which is null.
 * - With an `order` the list comes in pages, and `merge` puts the items of all sites together, each as it
 *   is. Without one it comes whole, or is refused where it is larger than a page.
 * - With `maxOf` it is cut instead, after the order of `merge`, and says so.
 */
export type Question<Params, Item> = {
  name: string
  path: string
  toQuery(params: Params): URLSearchParams
  table: Table<Item>
  /** No two items of one site have the same values in it. */
  order?: Order<Item>
  /** Maximum items of a page, where the caller says it. */
  limitOf?(params: Params): number | undefined
  /** Maximum items of an answer that comes whole: what is beyond is left out, and the answer says `cut`. */
  maxOf?(params: Params): number
  /** What to ask each of several sites; the question itself unless given. */
  forSite?(params: Params): Params
  /** One answer from those of several sites, which are in the order of the sites. */
  merge(answers: readonly OfSite<Item>[], params: Params): Item[]
}

/** The answer of one site. */
export type OfSite<Item> = { site: string; items: readonly Item[] }
