import { AsyncLocalStorage } from 'node:async_hooks'
import type { Job } from './job.ts'

const name = Symbol.for('wafermon.sdk.context')
const shared = globalThis as { [name]?: AsyncLocalStorage<Job> }

shared[name] ??= new AsyncLocalStorage<Job>()
/** @internal One for the process, also when a program loads this SDK both by `import` and by `require`. */
export const context: AsyncLocalStorage<Job> = shared[name]

/** The job in whose callback this code runs, if any. */
export function currentJob(): Job | undefined {
  return context.getStore()
}
