import type { Job } from '../../src/core/job.ts'
import { fromMs, type Micros, toMs } from '../../src/core/time.ts'
import { type Axis, along, pct, timeAxis } from '../axis.ts'
import { whenMinute } from '../format.ts'
import { elapsedText, jobName, metadataText } from '../job-text.ts'
import { jobPath } from '../urls.ts'
import { fillClass, type Shown, shownStatus } from './status.tsx'

/** Maximum rows drawn; the table has all that were read. */
export const ganttRows = 100

type Props = { job: Job; subjobs: readonly Job[]; now: Micros; site: string | undefined }

/** Subjobs over time, one row each, all on the same grid. The table below has the figures. */
export function Gantt({ job, subjobs, now, site }: Props) {
  const rows = subjobs.slice(0, ganttRows)
  const running = job.status === 'running' || rows.some(({ status }) => status === 'running')
  const ends = [job.startedAt, ...rows.map(endOf), ...(running ? [now] : [])]
  const axis = timeAxis(
    least([job.startedAt, ...rows.map((row) => row.startedAt)]),
    greatest(ends),
    now,
  )
  return (
    <>
      <ol class="gantt">
        {rows.map((row) => (
          <li>
            <span class="cut">
              <a href={jobPath(row.id, site)}>
                <b>{jobName(row, 40)}</b>
              </a>{' '}
              {metadataText(row, 'chamber')}
            </span>
            <Bar row={row} axis={axis} now={now} running={running} />
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

function Bar({ row, axis, now, running }: { row: Job; axis: Axis; now: Micros; running: boolean }) {
  const from = along(axis, row.startedAt)
  const to = along(axis, row.status === 'running' ? now : endOf(row))
  const usualTo = row.usual && along(axis, later(row.startedAt, row.usual.p95S))
  const grid = axis.labels.map((_, i) => pct((i / axis.labels.length) * 100))
  return (
    <svg class="g" aria-hidden="true">
      {grid.map((x) => (
        <line class="grid" x1={x} x2={x} y2="100%" />
      ))}
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
