import type { Job, Usual } from '../../src/core/job.ts'
import { pct } from '../axis.ts'
import { duration } from '../format.ts'

/** The strip reaches from an eighth of the usual median to sixteen times the median, in doublings. */
const [below, above] = [3, 4]

/** Room at both ends, in percent, so that a dot there is whole. */
const margin = 5

/** The position of a duration on the strip of its kind, in percent. */
const positionOf = (seconds: number, { p50S }: Usual): number => {
  const doublings = Math.log2(Math.max(seconds, 1e-6) / Math.max(p50S, 1e-6))
  const share = Math.min(1, Math.max(0, (doublings + below) / (below + above)))
  return margin + share * (100 - 2 * margin)
}

/** The side of the usual range that a duration is on; a running job is never below it. */
export function sideOfUsual(
  seconds: number,
  { status, usual }: Job,
): 'above' | 'below' | undefined {
  if (usual === undefined) return undefined
  if (seconds > usual.p95S) return 'above'
  return status !== 'running' && seconds < usual.p05S ? 'below' : undefined
}

/** `usual 0:08 to 0:27`: the middle nine in ten. */
export const usualText = ({ p05S, p95S }: Usual): string =>
  `usual ${duration(p05S)} to ${duration(p95S)}`

/**
 * A duration against the usual ones of its kind: a box from the 5th to the 95th percentile, a line
 * at the median, a dot for this job, hollow while it runs. Nothing where the usual is not known.
 */
export function Strip({ job, seconds }: { job: Job; seconds: number | null }) {
  const { usual } = job
  if (usual === undefined || seconds === null) return null
  const [from, to] = [positionOf(usual.p05S, usual), positionOf(usual.p95S, usual)]
  const side = sideOfUsual(seconds, job)
  const label = side === undefined ? usualText(usual) : `${side} ${usualText(usual)}`
  return (
    <svg class="strip" role="img" aria-label={label}>
      <rect class="f-band" x={pct(from)} width={pct(Math.max(1, to - from))} />
      <rect class="mid" x={pct(positionOf(usual.p50S, usual))} />
      <circle
        class={job.status === 'running' ? 'f-dot o' : 'f-dot'}
        cx={pct(positionOf(seconds, usual))}
      />
    </svg>
  )
}
