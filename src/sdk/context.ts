import { AsyncLocalStorage } from 'node:async_hooks'

const name = Symbol.for('wafermon.sdk.context')
const shared = globalThis as { [name]?: AsyncLocalStorage<object> }

shared[name] ??= new AsyncLocalStorage<object>()
/** @internal One for the process, also when a program loads this SDK both by `import` and by `require`. */
export const context: AsyncLocalStorage<object> = shared[name]
