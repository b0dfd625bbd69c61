/** The middle value; of an even number the mean of the two in the middle. */
export const median = (values: readonly number[]): number => quantile(values, 0.5)

/** Linear between the two nearest ranks. */
export function quantile(values: readonly number[], q: number): number {
  if (values.length === 0) return Number.NaN
  const sorted = [...values].sort((a, b) => a - b)
  const place = (sorted.length - 1) * q
  const low = sorted[Math.floor(place)]!
  return low + (sorted[Math.ceil(place)]! - low) * (place % 1)
}

/** Three significant digits, thousands apart: `12,300`, `1.05`. */
export function shown(value: number): string {
  const rounded = Number(value.toPrecision(3))
  return rounded.toLocaleString('en-US', { maximumFractionDigits: 4 })
}
