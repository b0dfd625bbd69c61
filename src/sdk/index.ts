/**
 * wafermon/sdk: what instrumented programs import. No dependency; see docs/sdk.md.
 */
export { defaultEmitter, type EmitterStats, flush, SidecarEmitter } from './emitter.ts'
export type { Emitter, EventKind, EventStatus, Json, WireEvent } from './event.ts'
export { currentJob, type Job, type SubjobOptions, type Tick } from './job.ts'
export { monitored, startJob, wrap } from './monitored.ts'
export type { AppRef, JobOptions, ParentJob } from './options.ts'
export type { EmitterOptions } from './settings.ts'
