/**
 * wafermon/sdk: what instrumented programs import. No dependency; see docs/sdk.md.
 */
export { currentJob } from './context.ts'
export { defaultEmitter, type EmitterStats, flush, SidecarEmitter } from './emitter.ts'
export type { Emitter, EventKind, EventStatus, Json, WireEvent } from './event.ts'
export type { Job, SubjobOptions, Tick } from './job.ts'
export { monitored, startJob, wrap } from './monitored.ts'
export type { AppRef, JobOptions } from './options.ts'
export type { EmitterOptions } from './settings.ts'
