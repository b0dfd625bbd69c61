import { InvalidArgumentError } from 'commander'
import { ConfigError } from '../core/errors.ts'
import { parseTime } from '../core/time.ts'
import { isUuid } from '../core/uuid.ts'

/* How the commands of the archive read their flags. */

/** A time, or a day by its start in UTC. */
export function toTime(text: string): string {
  const time = parseTime(/^\d{4}-\d\d-\d\d$/.test(text) ? `${text}T00:00:00Z` : text)
  if (time !== undefined) return time
  throw new InvalidArgumentError(
    'It must be a day such as 2026-03-01, or an RFC 3339 time with an offset, such as 2026-03-01T12:00:00Z.',
  )
}

/** @throws ConfigError when nothing lies between them */
export function assertSpan(from: string | undefined, to: string | undefined): void {
  if (from === undefined || to === undefined || from < to) return
  throw new ConfigError(`--to: ${to} is not after --from, ${from}, and is exclusive`)
}

/** The id of a job or subjob. */
export function toId(text: string): string {
  if (isUuid(text)) return text.toLowerCase()
  throw new InvalidArgumentError('It must be a UUID such as 0193581e-7c42-7d10-9a35-6f0c41c2b7e8.')
}

/** For a flag that takes several values: each is read by `read`. */
export const collect =
  <T>(read: (text: string) => T) =>
  (text: string, before: T[] = []): T[] => [...before, read(text)]
