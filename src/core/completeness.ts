import type { Completeness } from './job.ts'

/** True when jobs may be missing: events are known to be, or what waits in a silent sidecar is not known. */
export const isPartial = ({ missing, gaps, sourcesSilent }: Completeness): boolean =>
  missing > 0 || gaps.length > 0 || sourcesSilent > 0
