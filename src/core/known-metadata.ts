/**
 * Names in metadata that wafermon knows, with their types: the table of docs/wire.md, section 2, is
 * written from it. A value of another type is kept and shown as it is, and means nothing.
 */
export const knownMetadata = {
  exit_code: ['whole number', 'The exit code of the process.'],
  signal: ['text or number', 'The signal that ended the process.'],
  reason: ['text', 'Why the job waits, or why it ended.'],
  error: ['text', 'The error, with as much of it as helps.'],
  error_type: ['text', 'The class or code of the error.'],
  message: ['text', 'What the program says of its state or its end.'],
  host: ['text', 'The machine that runs the job.'],
  queue: ['text', 'The queue or partition in which it waits or waited.'],
  tool: ['text', 'The tool.'],
  chamber: ['text', 'The chamber of the tool.'],
  recipe: ['text', 'The recipe. Runs of different recipes are different kinds of runs.'],
  step: ['text', 'The step of the route.'],
  route: ['text', 'The route.'],
  priority: ['text or number', 'The priority, as the scheduler names it.'],
  lot: ['text', 'The lot, where the business key is something else.'],
  carrier_id: ['text', 'The carrier.'],
  due_at: ['RFC 3339 time', 'When it should have started; later it is `late`.'],
  heartbeat_s: ['number over 0', 'Seconds of silence after which it is `lost`.'],
  max_duration_s: ['number over 0', 'Seconds of running after which it is `stuck`.'],
  progress: ['number 0 to 1', 'Counts as the metric `progress` where that is absent.'],
  current: [
    'number from 0',
    'With `total`: how much is done. Their quotient counts as `progress`.',
  ],
  total: ['number over 0', 'With `current`: how much there is to do.'],
  links: ['list of `{title, url}`', 'Shown as links; `http` and `https` only.'],
  resources: [
    'object `{cpus, memory_mb, gpus}` of numbers',
    'What the job asked for, shown beside what it used.',
  ],
  truncated: [
    'true',
    'Set by the first hop when it cut values because there was too much metadata.',
  ],
} as const satisfies Record<string, readonly [type: string, about: string]>
