import { compareText } from './compare-text.ts'
import { AppError } from './errors.ts'
import type { MissingSites } from './sites.ts'

/*
 * Lists that come in pages, but for those of jobs and events, which have their own cursors. A cursor is
 * the place of the last item, so pages neither skip nor repeat an item that is there all the time.
 */

/** The texts by which a list is ordered, by code points as collation "C" does; absent ones are empty. */
export type Order<Item> = readonly { by: keyof Item & string; desc?: true }[]

/** The texts of one item, in the order of the order. */
export type Place = readonly string[]

/** Items in their order; `next` is the place of the last of them when others follow. */
export type ListPage<Item> = { items: Item[]; next: Place | null } & Omissions

/** What a list that comes whole does not have. */
export type Omissions = {
  /** Jobs may be missing: events of a site are known to be, a sidecar of it is silent, or it did not answer. */
  partial?: boolean | undefined
  /** There are more items than an answer has, or their counts are of a part: each is a minimum. */
  cut?: boolean | undefined
  /** In an answer merged from several sites: the sites that are missing from it. */
  sites?: MissingSites | undefined
}

export const placeOf = <Item>(order: Order<Item>, item: Item): Place =>
  order.map(({ by }) => String(item[by] ?? ''))

/** Below 0 when `a` comes first. */
export function comparePlaces<Item>(order: Order<Item>, a: Place, b: Place): number {
  for (const [i, { desc }] of order.entries()) {
    const way = compareText(a[i] ?? '', b[i] ?? '')
    if (way !== 0) return desc ? -way : way
  }
  return 0
}

/** The text that stands for a place, opaque to clients. */
export const placeToWire = (place: Place): string =>
  Buffer.from(JSON.stringify(place)).toString('base64url')

/**
 * The inverse of {@link placeToWire}.
 *
 * @throws AppError invalid when the text was not made by it, for a list of this order
 */
export function readPlace<Item>(order: Order<Item>, text: string): Place {
  const place = parse(Buffer.from(text, 'base64url').toString('utf8'))
  const isPlace =
    Array.isArray(place) &&
    place.length === order.length &&
    place.every(
      (value) => typeof value === 'string' && value.isWellFormed() && !value.includes('\0'),
    )
  if (isPlace) return place as string[]
  throw new AppError('invalid', 'cursor: must be next_cursor of the previous page, unchanged', {
    field: 'cursor',
  })
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
