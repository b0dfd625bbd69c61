/** The kinds of events; see wire.md, section 2. */
export const kinds = [
  'queued',
  'started',
  'progress',
  'metric',
  'finished',
  'error',
  'canceled',
] as const
export type Kind = (typeof kinds)[number]
