/*
 * Histograms of durations, small enough to keep for years and exact enough for percentiles: eight bins a
 * doubling, and one for zero. As text they are `bin:count` in the order of the bins, separated by spaces,
 * such as `-10000:2 17:40 18:3`. They add up bin by bin, over hours, groups and sites.
 *
 * A percentile is the nearest rank: the value that a share of all values does not exceed, one of the
 * values themselves. From a histogram it is the geometric middle of its bin, so at most 4.43 % away from
 * the value. SQL has the same bins: histogram_bin of migration 0016.
 */

/** The bin of zero, far below that of the least double. */
export const zeroBin = -10_000
const binsPerDoubling = 8

/** The greatest relative error of a percentile from a histogram: half a bin. */
export const maxError = 2 ** (1 / (2 * binsPerDoubling)) - 1

/** Counts by bin. */
export type Histogram = ReadonlyMap<number, number>

export const toBin = (durationS: number): number =>
  durationS > 0 ? Math.floor(binsPerDoubling * Math.log2(durationS)) : zeroBin

/** The sum of histograms in the form of text, several of which may be joined by a space. */
export function addHistograms(texts: Iterable<string>): Histogram {
  const sum = new Map<number, number>()
  for (const text of texts) addTo(sum, text)
  return sum
}

/** By hand: an answer over a year adds up a million bins. */
function addTo(sum: Map<number, number>, text: string): void {
  let [sign, value, bin] = [1, 0, 0]
  for (let i = 0; i <= text.length; i++) {
    const code = i < text.length ? text.charCodeAt(i) : space
    if (code >= digit0 && code <= digit0 + 9) value = value * 10 + code - digit0
    else if (code === minus) sign = -1
    else {
      if (code === colon) bin = sign * value
      else if (value > 0) sum.set(bin, (sum.get(bin) ?? 0) + sign * value)
      sign = 1
      value = 0
    }
  }
}

const [space, minus, digit0, colon] = [0x20, 0x2d, 0x30, 0x3a]

export const toHistogramText = (histogram: Histogram): string =>
  [...histogram]
    .sort(([a], [b]) => a - b)
    .map(([bin, n]) => `${bin}:${n}`)
    .join(' ')

export type Bounds = { min?: number | null; max?: number | null }

/**
 * The nearest rank percentile, at most {@link maxError} away from the value; null of nothing.
 *
 * @param share from 0 to 1
 * @param bounds the least and the greatest of the values, where they are known
 */
export function percentileOf(
  histogram: Histogram,
  share: number,
  { min, max }: Bounds = {},
): number | null {
  const bins = [...histogram].sort(([a], [b]) => a - b)
  const total = bins.reduce((sum, [, n]) => sum + n, 0)
  const rank = rankOf(share, total)
  let seen = 0
  for (const [bin, n] of bins) {
    seen += n
    if (seen < rank) continue
    const middle = bin === zeroBin ? 0 : 2 ** ((bin + 0.5) / binsPerDoubling)
    return Math.min(Math.max(middle, min ?? -Infinity), max ?? Infinity)
  }
  return null
}

/** The nearest rank percentile of values in order, as `percentile_disc` of SQL; null of nothing. */
export const nearestRank = (sorted: readonly number[], share: number): number | null =>
  sorted[rankOf(share, sorted.length) - 1] ?? null

const rankOf = (share: number, total: number) => Math.max(1, Math.ceil(share * total))
