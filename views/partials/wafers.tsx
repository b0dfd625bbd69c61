import type { Job } from '../../src/core/job.ts'
import { jobPath } from '../urls.ts'
import { shownStatus, waferClass } from './status.tsx'

/** `W07`, `wafer 7`, `slot-07` or `7`; a carrier holds 25, a furnace boat more. */
const waferKey = /^(?:w|wafer|slot)?[-_ #]?0*(\d{1,3})$/i

export type Wafer = { number: number; job: Job }

/**
 * The wafers of a lot by number, when the sub keys look like wafers: at least two, and nine in ten
 * of all subjobs. Of several subjobs of one wafer (steps, rework) the one that started last counts.
 */
export function findWafers(subjobs: readonly Job[]): Wafer[] | undefined {
  const wafers = new Map<number, Job>()
  let named = 0
  for (const job of subjobs) {
    const found = waferKey.exec(job.subKey ?? '')
    if (!found) continue
    named++
    const number = Number(found[1])
    const known = wafers.get(number)
    if (known === undefined || known.startedAt < job.startedAt) wafers.set(number, job)
  }
  if (wafers.size < 2 || named < subjobs.length * 0.9) return undefined
  return [...wafers].map(([number, job]) => ({ number, job })).sort((a, b) => a.number - b.number)
}

/** A circle per wafer: number and word, shape by state. Only wafers that reported are drawn. */
export function WaferMap({ wafers, site }: { wafers: readonly Wafer[]; site: string | undefined }) {
  return (
    <ol class="wafers">
      {wafers.map(({ number, job }) => {
        const shown = shownStatus(job)
        const word = shown === 'succeeded' ? 'done' : shown
        return (
          <li>
            <a class={waferClass(shown)} href={jobPath(job.id, site)}>
              <span>
                {number}
                <br />
                <small>{word}</small>
              </span>
            </a>
          </li>
        )
      })}
    </ol>
  )
}
