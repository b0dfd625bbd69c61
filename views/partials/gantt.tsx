import { isOpen, type Job } from '../../src/core/job.ts'
import { fromMs, type Micros, toMs } from '../../src/core/time.ts'
import { type Axis, along, pct, timeAxis } from '../axis.ts'
import { whenMinute } from '../format.ts'
import { elapsedText, jobName, metadataText } from '../job-text.ts'
import { jobPath } from '../urls.ts'
import { fillClass, type Shown, shownStatus } from './status.tsx'

type Props = { job: Job; subjobs: readonly Job[]; now: Micros; site: string | undefined }

/** Subjobs over time, one row each, all on the same grid, in the order they started. */
export function Gantt({ job, subjobs, now, site }: Props) {
  const rows = subjobs.toSorted((a, b) => (a.startedAt < b.startedAt ? -1 : 1))
  const running = isOpen(job.status) || rows.some(({ status }) => isOpen(status))
  const ends = [job.startedAt, ...rows.map(endOf), ...(running ? [now] : [])]
  const axis = timeAxis(
    least([job.startedAt, ...rows.map((row) => row.startedAt)]),
    greatest(ends),
    now,
  )
  return (
    <>
      <ol class="gantt">
        {rows.map((row, i) => (
          <li>
            <span class="cut">
              <a href={jobPath(row.id, site)}>
                <b>{jobName(row, 40)}</b>
              </a>{' '}
              {metadataText(row, 'chamber')}
            </span>
            <Bar
              row={row}
              axis={axis}
              now={now}
              grid={i === 0 ? 'drawn' : 'again'}
              running={running}
            />
            <span class="n">{elapsedText(row, now)}</span>
          </li>
        ))}
        <li aria-hidden="true">
          <span />
          <div class="axis">
            {axis.labels.map((label) => (
              <span>{label}</span>
            ))}
          </div>
          <span />
        </li>
      </ol>
      <Key
        shown={[...new Set(rows.map(shownStatus))]}
        usual={rows.some(({ usual }) => usual !== undefined)}
        now={running ? now : undefined}
      />
    </>
  )
}

type BarProps = { row: Job; axis: Axis; now: Micros; running: boolean; grid: 'drawn' | 'again' }

function Bar({ row, axis, now, running, grid }: BarProps) {
  const from = along(axis, row.startedAt)
  const to = along(axis, isOpen(row.status) ? now : endOf(row))
  const usualTo = row.usual && along(axis, later(row.startedAt, row.usual.p95S))
  return (
    <svg class="g" aria-hidden="true">
      {grid === 'drawn' ? <Grid axis={axis} /> : <use href="#gantt-grid" />}
      {usualTo === undefined ? null : (
        <rect
          class="f-band"
          x={pct(from)}
          y="24%"
          width={pct(Math.max(0, usualTo - from))}
          height="52%"
        />
      )}
      <rect
        class={fillClass(shownStatus(row))}
        x={pct(from)}
        y="24%"
        width={pct(Math.max(0.3, to - from))}
        height="52%"
      />
      {running ? (
        <line class="now" x1={pct(along(axis, now))} x2={pct(along(axis, now))} y2="100%" />
      ) : null}
    </svg>
  )
}

/** The grid of the first row; the others refer to it, which keeps a page of many rows small. */
function Grid({ axis: { labels } }: { axis: Axis }) {
  return (
    <g id="gantt-grid">
      {labels.map((_, i) => {
        const x = pct((i / labels.length) * 100)
        return <line class="grid" x1={x} x2={x} y2="100%" />
      })}
    </g>
  )
}

type KeyProps = { shown: readonly Shown[]; now?: Micros | undefined; usual?: boolean }

/** The meaning of the fills that are drawn. */
export function Key({ shown, now, usual = false }: KeyProps) {
  return (
    <div class="key">
      {shown.map((name) => (
        <span>
          <svg viewBox="0 0 14 14" aria-hidden="true">
            <rect class={fillClass(name)} x="1" y="1" width="12" height="12" />
          </svg>
          {name}
        </span>
      ))}
      {usual ? (
        <span>
          <svg viewBox="0 0 14 14" aria-hidden="true">
            <rect class="f-band" x="1" y="1" width="12" height="12" />
          </svg>
          usual maximum (p95)
        </span>
      ) : null}
      {now === undefined ? null : <span>vertical line: now, {whenMinute(now, now)}</span>}
    </div>
  )
}

const later = (at: Micros, seconds: number) => fromMs(toMs(at) + seconds * 1000)
const endOf = (job: Job): Micros => job.endedAt ?? job.lastEventAt
const least = (times: Micros[]) => times.reduce((a, b) => (b < a ? b : a))
const greatest = (times: Micros[]) => times.reduce((a, b) => (b > a ? b : a))
