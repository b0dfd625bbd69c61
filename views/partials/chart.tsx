import type { JobStatus } from '../../src/core/job.ts'
import { must } from '../../src/core/must.ts'
import { fromMs, type Micros, toMs } from '../../src/core/time.ts'
import { niceMax, pct } from '../axis.ts'
import { count, day, number, when, whenMinute } from '../format.ts'
import { type Column, DataTable } from './data-table.tsx'
import { Key } from './gantt.tsx'
import { fillClass } from './status.tsx'

/** Counts of the jobs that started in one step of the chart. */
export type Bucket = { at: Micros } & Record<JobStatus, number>

/** From the bottom up; failures on top, where they are seen. */
const stack = ['succeeded', 'running', 'queued', 'canceled', 'unknown', 'failed'] as const
/** Of these, shown only where there are any. */
const rare: readonly JobStatus[] = ['queued', 'unknown']

const shownOf = (buckets: readonly Bucket[]) =>
  stack.filter((status) => !rare.includes(status) || buckets.some((bucket) => bucket[status] > 0))

type Props = { buckets: readonly Bucket[]; stepS: number; now: Micros }

/** Jobs over time as stacked bars, with the figures as a table below. */
export function JobsChart({ buckets, stepS, now }: Props) {
  const top = niceMax(Math.max(...buckets.map(totalOf), 0))
  return (
    <>
      <figure>
        <div class="plot">
          <div class="y" aria-hidden="true">
            <span>{number(top)}</span>
            <span>{number(top / 2)}</span>
            <span>0</span>
          </div>
          <svg class="g tall" role="img" aria-label={describe(buckets, stepS)}>
            <line class="grid" x2="100%" y1="0%" y2="0%" />
            <line class="grid" x2="100%" y1="50%" y2="50%" />
            <line class="base" x2="100%" y1="100%" y2="100%" />
            {buckets.map((bucket, i) => (
              <Bar bucket={bucket} i={i} n={buckets.length} top={top} />
            ))}
          </svg>
          <Axis buckets={buckets} now={now} />
        </div>
      </figure>
      <Key shown={shownOf(buckets)} />
      <details class="data" id="figures">
        <summary>Figures</summary>
        <Figures buckets={buckets} now={now} />
      </details>
    </>
  )
}

const totalOf = (bucket: Bucket) => stack.reduce((sum, status) => sum + bucket[status], 0)

function Bar({ bucket, i, n, top }: { bucket: Bucket; i: number; n: number; top: number }) {
  let y = 100
  return (
    <>
      {stack.map((status) => {
        const height = (bucket[status] / top) * 100
        if (height === 0) return null
        y -= height
        return (
          <rect
            class={fillClass(status)}
            x={pct(((i + 0.1) / n) * 100)}
            y={pct(y)}
            width={pct(80 / n)}
            height={pct(height)}
          />
        )
      })}
    </>
  )
}

/** At most eight labels at equal distances, for any number of bars. */
function Axis({ buckets, now }: { buckets: readonly Bucket[]; now: Micros }) {
  const every = [1, 2, 3, 4, 6, 8, 12, 24].find((n) => buckets.length / n <= 8) ?? 24
  const [first] = buckets
  const days = first !== undefined && toMs(now) - toMs(first.at) > 100_000_000
  const shown = buckets.filter((_, i) => i % every === 0)
  return (
    <div class="axis" aria-hidden="true">
      {shown.map(({ at }) => (
        <span>{days ? `${day(at).slice(5)} ${whenMinute(at, now)}` : whenMinute(at, now)}</span>
      ))}
    </div>
  )
}

/** The figures, at most a dozen lines: neighboring steps are added up. */
function Figures({ buckets, now }: { buckets: readonly Bucket[]; now: Micros }) {
  const per = Math.max(1, Math.ceil(buckets.length / 12))
  const shown = shownOf(buckets)
  const groups = Array.from({ length: Math.ceil(buckets.length / per) }, (_, i) =>
    buckets.slice(i * per, (i + 1) * per),
  )
  return (
    <DataTable
      caption="Jobs over time, figures"
      class="narrow"
      columns={figureColumns(shown, now)}
      rows={groups}
      stack
      scroll={false}
    />
  )
}

const figureColumns = (shown: readonly JobStatus[], now: Micros): Column<readonly Bucket[]>[] => [
  {
    head: 'From',
    rowHeader: true,
    class: 'k',
    cell: ([first]) => when(must(first, 'a group has a bucket').at, now),
  },
  ...shown.map((status) => ({
    head: status,
    number: true as const,
    cell: (group: readonly Bucket[]) =>
      number(group.reduce((total, bucket) => total + bucket[status], 0)),
  })),
]

/** `5 min`, `1 h`. */
export const stepName = (stepS: number): string =>
  stepS < 3600 ? `${number(stepS / 60)}\u00a0min` : `${number(stepS / 3600)}\u00a0h`

function describe(buckets: readonly Bucket[], stepS: number): string {
  const total = buckets.reduce((sum, bucket) => sum + totalOf(bucket), 0)
  const failed = buckets.reduce((sum, bucket) => sum + bucket.failed, 0)
  return `Jobs started per ${stepName(stepS)} by status: ${count(total, 'job')}, ${number(failed)} failed`
}

/**
 * Empty steps of a window, times in milliseconds. The last is the current one; the first, of which
 * the window holds only a part, is left out, so that every window has a round number of bars.
 */
export function emptyBuckets(fromAt: number, toAt: number, stepS: number): Bucket[] {
  const step = stepS * 1000
  const n = Math.min(1000, Math.max(1, Math.round((toAt - fromAt) / step)))
  const first = (Math.floor(toAt / step) - n + 1) * step
  return Array.from({ length: n }, (_, i) => ({
    at: fromMs(first + i * step),
    queued: 0,
    running: 0,
    succeeded: 0,
    failed: 0,
    canceled: 0,
    unknown: 0,
  }))
}
