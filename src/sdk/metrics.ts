import { cleanText, type Note } from './clean.ts'

/** Maximum metrics of a job that its last event repeats; the wire allows 64, five are measured. */
const maxMetrics = 59

/** Never below zero; other names take any number. */
const amounts = ['duration_s', 'cpu_user_s', 'cpu_system_s', 'mem_max_mb', 'progress']

/**
 * A metric as the wire takes it, or undefined when there is nothing to save. A BigInt becomes the
 * nearest double, progress is clamped to 0 to 1.
 */
export function cleanMetric(
  name: unknown,
  value: unknown,
  note: Note,
): [string, number] | undefined {
  const key = cleanText(name, 128, note)
  let number = typeof value === 'bigint' ? Number(value) : value
  if (typeof number === 'number' && key === 'progress') number = Math.min(1, Math.max(0, number))
  if (number !== value) note()
  const fits = Number.isFinite(number) && !((number as number) < 0 && amounts.includes(key))
  if (key && fits) return [key, number as number]
  note()
  return undefined
}

/** Keeps the latest value of each metric, as many as an event may carry. */
export function keepMetric(kept: Map<string, number>, name: string, value: number): void {
  if (kept.has(name) || kept.size < maxMetrics || amounts.includes(name)) kept.set(name, value)
}
