import type { Completeness } from './job.ts'

/**
 * True when jobs may be missing: events are known to be, what waits in a silent sidecar is not known, or a part of the archive
 * that was asked for was not searched.
 */
export const isPartial = ({
  missing,
  gaps,
  sourcesSilent,
  archiveMissing,
}: Completeness): boolean =>
  missing > 0 || gaps.length > 0 || sourcesSilent > 0 || archiveMissing.length > 0
