import * as z from 'zod'
import { siteIdMessage, siteIdPattern } from '../core/site-id.ts'
import type { KeepRule } from '../store/archive/aged.ts'
import { type ArchiveKind, archiveKinds } from '../store/archive/columns.ts'

/* The setting ARCHIVE_KEEP_YEARS: entries `event=10`, and `fab1:event=7` for one site, comma-separated. */

/** What is kept for how long unless the setting says otherwise, in years. */
const standard: Record<ArchiveKind, number> = { event: 10, job: 15, subjob: 15 }
const mostYears = 1000

const example = 'event=10,job=15,subjob=15,fab1:event=7,fab2:job=forever'
const entry = /^(?:([^:=]+):)?(event|job|subjob)=(\d+|forever)$/

/** @returns the rules, or the first problem as a sentence */
export function parseKeepYears(text: string): KeepRule[] | string {
  const rules = new Map<string, KeepRule>()
  const parts = text.split(',').map((part) => part.trim())
  for (const [i, part] of parts.entries()) {
    if (part === '') continue
    const [, site = null, kind, years] = entry.exec(part) ?? []
    // Not its text, which may be a secret that was pasted here: whoever shows it masks it.
    if (kind === undefined) {
      return `entry ${i + 1} is not event, job or subjob = a whole number of years or forever; write ${example}`
    }
    if (site !== null && !siteIdPattern.test(site)) {
      return `the site of entry ${i + 1} ${siteIdMessage}; write ${example}`
    }
    const n = years === 'forever' ? null : Number(years)
    if (n !== null && (n < 1 || n > mostYears)) {
      return `${part}: must be 1 to ${mostYears} years, or forever`
    }
    const key = `${site ?? ''}:${kind}`
    if (rules.has(key))
      return `${part}: ${kind} is there twice${site ? ` for ${site}` : ''}; remove one`
    rules.set(key, { site, kind: kind as ArchiveKind, years: n })
  }
  for (const kind of archiveKinds) {
    if (!rules.has(`:${kind}`)) rules.set(`:${kind}`, { site: null, kind, years: standard[kind] })
  }
  return [...rules.values()]
}

const standardText = archiveKinds.map((kind) => `${kind}=${standard[kind]}`).join(',')

/** The setting as text that has been checked; {@link parseKeepYears} reads it. */
export const keepYears = z
  .string('must be text')
  .check((given) => {
    const found = parseKeepYears(given.value)
    if (typeof found !== 'string') return
    given.issues.push({ code: 'custom', message: found, input: given.value })
  })
  .default(standardText)
  .meta({
    description:
      'For how many years wafermon archive expire keeps each kind; entries of one site begin with its id, as fab1:event=7. Nothing is ever deleted by itself.',
    range: `event, job, subjob = 1 to ${mostYears} or forever; comma-separated`,
    unit: 'years',
  })

/** The rules of a setting that was checked. */
export function readKeepYears(text: string): KeepRule[] {
  const rules = parseKeepYears(text)
  if (typeof rules === 'string') throw new Error(rules)
  return rules
}
