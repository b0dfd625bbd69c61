import { ExactNumber } from '../src/core/exact-number.ts'
import { isOpen, type Job } from '../src/core/job.ts'
import { number, plain } from './format.ts'
import { toRecord } from './stored-event.ts'
import { safeLink } from './urls.ts'

/*
 * Metadata under names that wafermon knows (core/known-metadata.ts), where it is more than a word. A value
 * of another type means nothing here, and pages show it among the other metadata.
 */

export type JobLink = { title: string; href: string }

/** Maximum links shown; of more the metadata has all. */
export const mostLinks = 50

/** The links of a job that a browser may open; undefined when there are none. */
export function readLinks({ metadata: { links } }: Job): JobLink[] | undefined {
  if (!Array.isArray(links)) return undefined
  const found = links.slice(0, mostLinks).flatMap((link: unknown): JobLink[] => {
    const { title, url } = (link ?? {}) as { title?: unknown; url?: unknown }
    const href = safeLink(url)
    if (href === undefined) return []
    return [{ title: typeof title === 'string' && title !== '' ? title : href, href }]
  })
  return found.length === 0 ? undefined : found
}

export type Wanted = { cpus?: number; memory_mb?: number; gpus?: number }
const resourceNames = ['cpus', 'memory_mb', 'gpus'] as const

/** The resources that a job asked for; undefined when it named none. */
export function readWanted({ metadata: { resources } }: Job): Wanted | undefined {
  const given = toRecord(resources)
  const found = resourceNames.flatMap((name) => {
    const value = readNumber(given[name])
    return value === undefined ? [] : [[name, value] as const]
  })
  return found.length === 0 ? undefined : Object.fromEntries(found)
}

/** `13 of 25`; empty when it did not say both. */
export function doneOfText({ metadata: { current, total } }: Job): string {
  const [done, all] = [readNumber(current), readNumber(total)]
  if (done === undefined || all === undefined || all === 0) return ''
  return `${number(done, decimalsOf(done))} of ${number(all, decimalsOf(all))}`
}

const decimalsOf = (value: number) => (Number.isInteger(value) ? 0 : 2)

/** Why a job waits; empty when it does not, or did not say. */
export function waitReason({ status, metadata: { reason } }: Job): string {
  return status === 'queued' && typeof reason === 'string' ? reason.trim() : ''
}

/** What a job that ended said of how, by name, as text. */
export function listEnd(job: Job): [name: string, text: string][] {
  if (isOpen(job.status)) return []
  return endNames.flatMap((name): [string, string][] => {
    const value = job.metadata[name]
    return isWord(value) ? [[name, plain(value)]] : []
  })
}

export const endNames = ['exit_code', 'signal', 'reason', 'error_type', 'message'] as const

/** True when pages show all of this metadata elsewhere than among the rest. */
export function isShownApart(job: Job, name: string): boolean {
  const value = job.metadata[name]
  if (name === 'links') {
    return (
      Array.isArray(value) && value.length <= mostLinks && readLinks(job)?.length === value.length
    )
  }
  if (name === 'resources') {
    const told = Object.keys(toRecord(value)).length
    return told > 0 && Object.keys(readWanted(job) ?? {}).length === told
  }
  if (name === 'current' || name === 'total') return doneOfText(job) !== ''
  if (name === 'truncated') return job.truncated
  if (name === 'reason' && waitReason(job) !== '') return true
  return listEnd(job).some(([shown]) => shown === name)
}

const isWord = (value: unknown) =>
  typeof value === 'string' || typeof value === 'number' || value instanceof ExactNumber

function readNumber(value: unknown): number | undefined {
  const number = value instanceof ExactNumber ? Number(String(value)) : value
  return typeof number === 'number' && Number.isFinite(number) && number >= 0 ? number : undefined
}
