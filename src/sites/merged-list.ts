import { checkWhole, maxListItems, maxPageBytes, measureJson } from '../core/answer-size.ts'
import { comparePlaces, type ListPage, type Order, placeOf } from '../core/list-order.ts'
import { must } from '../core/must.ts'
import type { OfSite, Question } from '../core/questions/question.ts'

type SiteList<Item> = OfSite<Item> & ListPage<Item>

/**
 * One list, or one page of it, from those of several sites. All of them were asked for what comes after
 * the same place.
 *
 * @throws AppError invalid when a list that comes whole is larger than a page
 */
export function mergeLists<Params, Item>(
  question: Question<Params, Item>,
  params: Params,
  answers: readonly SiteList<Item>[],
): ListPage<Item> {
  const items = question.merge(answers, params)
  if (question.order) {
    const limit = question.limitOf?.(params) ?? maxListItems
    return cutPage({ order: question.order, limit }, items, answers)
  }
  const most = question.maxOf?.(params) ?? items.length
  const whole = items.slice(0, most)
  checkWhole(whole)
  const has = (what: 'partial' | 'cut') => answers.some((one) => one[what])
  const cut = items.length > most || has('cut')
  return { items: whole, next: null, cut, partial: has('partial') }
}

/**
 * What comes after the end of a site's page is not known, so the page ends there at the latest. It does
 * not end between items of the same place, of which each site may have one: the next page begins after all
 * of them.
 */
function cutPage<Item>(
  { order, limit }: { order: Order<Item>; limit: number },
  items: readonly Item[],
  answers: readonly SiteList<Item>[],
): ListPage<Item> {
  const rows = items
    .map((item) => ({ item, place: placeOf(order, item) }))
    .sort((a, b) => comparePlaces(order, a.place, b.place))
  const ends = answers.flatMap(({ next }) => (next ? [next] : []))
  const [end] = ends.sort((a, b) => comparePlaces(order, a, b))
  const taken: typeof rows = []
  let bytes = 0
  for (const row of rows) {
    if (end && comparePlaces(order, row.place, end) > 0) break
    bytes += measureJson(row.item)
    const isFull = taken.length >= limit || bytes > maxPageBytes
    const last = taken.at(-1)
    if (isFull && last && comparePlaces(order, last.place, row.place) !== 0) break
    taken.push(row)
  }
  const more = taken.length < rows.length || end !== undefined
  const last = taken.at(-1)?.place ?? end
  return {
    items: taken.map(({ item }) => item),
    next: more ? must(last, 'where more follows there is a place') : null,
  }
}
