import type { Logger } from 'pino'

/** Within this time, in milliseconds, lines of one kind become one. */
const windowMs = 1000

type Level = 'warn' | 'error'
type Line = { level: Level; fields: Record<string, unknown>; event: string }
type Window = { more: number; last: Line | undefined }

const windows = new WeakMap<Logger, Map<string, Window>>()

/**
 * Logs what a caller can cause any number of times, such as a refusal: the first immediately, and after
 * that at most one a second of each kind, with the last one's fields and `times`, the number that it
 * stands for. Otherwise the caller who sends bad requests decides how fast the log grows.
 *
 * @param kind lines of the same kind are joined; it must be from a small set and not hold what callers send
 */
export function logSparsely(log: Logger, kind: string, line: Line): void {
  const open = windows.get(log) ?? new Map<string, Window>()
  windows.set(log, open)
  const window = open.get(kind)
  if (window) {
    window.more++
    window.last = line
    return
  }
  log[line.level](line.fields, line.event)
  begin(log, open, kind)
}

function begin(log: Logger, open: Map<string, Window>, kind: string): void {
  const window: Window = { more: 0, last: undefined }
  open.set(kind, window)
  setTimeout(() => {
    const { more, last } = window
    open.delete(kind)
    if (!last) return
    log[last.level]({ ...last.fields, times: more }, last.event)
    begin(log, open, kind)
  }, windowMs).unref()
}
