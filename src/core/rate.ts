/** A share of which only some were counted: the bounds between which it lies. */
export type RateBounds = { low: number; high: number }

/** Standard deviations on each side: 95 % of the intervals hold the true rate. */
const z = 1.96

/**
 * The Wilson score interval of a rate, at 95 %: with few counted it is wide, and it never leaves 0 to 1,
 * unlike the rate plus and minus its deviation.
 *
 * @param hits how many of `total`; 0 to `total`
 * @param total how many were counted; of none nothing is known, and the bounds are 0 and 1
 */
export function boundRate(hits: number, total: number): RateBounds {
  if (total <= 0) return { low: 0, high: 1 }
  const rate = hits / total
  const spread =
    (z * Math.sqrt((rate * (1 - rate)) / total + (z / (2 * total)) ** 2)) / (1 + z ** 2 / total)
  const middle = (rate + z ** 2 / (2 * total)) / (1 + z ** 2 / total)
  return {
    low: hits === 0 ? 0 : Math.max(0, middle - spread),
    high: hits === total ? 1 : Math.min(1, middle + spread),
  }
}
