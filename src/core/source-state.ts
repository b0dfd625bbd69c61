/*
 * The state of a source: of a sidecar, by what it says of itself. `waiting` and all that it reports is as of
 * its last heartbeat, never of now.
 *
 *   reporting   it sent a heartbeat within the last 30 s
 *   silent      it sent heartbeats, and now none for 30 s: what waits in its spool is not known
 *   unknown     it delivers, but has never sent a heartbeat (or sends none any more): an older sidecar, or
 *               a program that stamps its events by itself
 *   gone        it said goodbye: it was stopped, and nothing waits in its spool
 *   retired     nothing is expected of it any more: by age, or because a person accepted its loss
 *   replaced    an earlier opening of a spool; its sidecar reports under a later one
 */
export const sourceStates = [
  'reporting',
  'silent',
  'unknown',
  'gone',
  'retired',
  'replaced',
] as const
export type SourceState = (typeof sourceStates)[number]

/** A sidecar sends a heartbeat this often, in seconds. */
export const heartbeatS = 10
/** Silent is a sidecar without a heartbeat for this long, in seconds. */
export const silentAfterS = 30
/** A source that delivered this long after its last heartbeat sends none any more, in seconds. */
export const stoppedReportingAfterS = 60

/**
 * When a source retires, in days: after its goodbye; and without a word from it. One that last said that events
 * wait in its spool does not retire by age: a person has to accept their loss.
 */
export const retireAfterDays = { gone: 1, silent: 7 } as const

/** Late is a source whose oldest waiting event is older than this, in seconds. */
export const lagLimitS = 60

/** Maximum sources that were made by heartbeats alone: none of them has delivered an event. */
export const maxUndelivered = 10_000
