import { must } from '../src/core/must.ts'
import { fromMs, type Micros, toMs } from '../src/core/time.ts'
import { clock, day, hourMinute, ownZone } from './format.ts'

/** Easily read steps, in seconds. */
const steps = [
  1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400,
  172_800, 604_800, 2_592_000, 31_536_000,
]

/** A time axis that begins and ends on a step; all columns are equally wide. */
export type Axis = {
  startMs: number
  endMs: number
  labels: string[]
}

/** The axis that holds both times in at most `most` columns; `now` as in `when`. */
export function timeAxis(from: Micros, to: Micros, now: Micros, most = 6): Axis {
  const [fromMs_, toMs_] = [toMs(from), Math.max(toMs(to), toMs(from) + 1)]
  const columns = (stepMs: number) => Math.ceil(toMs_ / stepMs) - Math.floor(fromMs_ / stepMs)
  const last = must(steps.at(-1), 'there are steps') * 1000
  const step = steps.map((s) => s * 1000).find((ms) => columns(ms) <= most) ?? last
  const startMs = Math.floor(fromMs_ / step) * step
  const n = Math.min(columns(step), 1000)
  const text = step >= 86_400_000 ? day : step >= 60_000 ? hourMinute : clock
  const label = (at: Micros) => text(at) + (text === day ? '' : ownZone(at, now))
  return {
    startMs,
    endMs: startMs + n * step,
    labels: Array.from({ length: n }, (_, i) => label(fromMs(startMs + i * step))),
  }
}

/** The position of a time on the axis, in percent of its width; never outside. */
export function along({ startMs, endMs }: Axis, at: Micros): number {
  return clamp(((toMs(at) - startMs) / (endMs - startMs)) * 100)
}

const clamp = (share: number) => Math.min(100, Math.max(0, share))

/** A length of an SVG without a viewBox: two decimals are a twentieth of a pixel on any screen. */
export const pct = (value: number): string => `${Math.round(value * 100) / 100}%`

/** The smallest round, even number (1, 2, 4, 6 or 8 times a power of ten) that is at least `n`. */
export function niceMax(n: number): number {
  if (n <= 2) return 2
  const power = 10 ** Math.floor(Math.log10(n))
  const tops = [1, 2, 4, 6, 8, 10].map((f) => f * power)
  return must(
    tops.find((top) => top >= n && top % 2 === 0),
    'ten times the power of ten is even and at least n',
  )
}
