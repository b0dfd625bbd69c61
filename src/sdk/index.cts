/**
 * Declarations for programs that load `wafermon/sdk` by `require`: the compiler makes index.d.cts
 * of this file. The code itself is index.cjs, bundled from index.ts.
 */
import type * as sdk from './index.ts' with { 'resolution-mode': 'import' }

export declare const currentJob: typeof sdk.currentJob
export declare const defaultEmitter: typeof sdk.defaultEmitter
export declare const flush: typeof sdk.flush
export declare const monitored: typeof sdk.monitored
export declare const SidecarEmitter: typeof sdk.SidecarEmitter
export declare const startJob: typeof sdk.startJob
export declare const wrap: typeof sdk.wrap

export type AppRef = sdk.AppRef
export type Emitter = sdk.Emitter
export type EmitterOptions = sdk.EmitterOptions
export type EmitterStats = sdk.EmitterStats
export type EventKind = sdk.EventKind
export type EventStatus = sdk.EventStatus
export type Job = sdk.Job
export type JobOptions = sdk.JobOptions
export type Json = sdk.Json
export type SidecarEmitter = sdk.SidecarEmitter
export type SubjobOptions = sdk.SubjobOptions
export type Tick = sdk.Tick
export type WireEvent = sdk.WireEvent
