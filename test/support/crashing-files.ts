import fs from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'
import type { TestContext } from 'node:test'

/*
 * A process that dies between two steps, without dying: Node's synchronous calls that change something
 * on disk work so many times, and then none does. What SQLite does by itself is not among them.
 */

type AnyCall = (...args: never[]) => unknown

const changing = [
  ...['mkdirSync', 'renameSync', 'linkSync', 'copyFileSync', 'rmSync', 'rmdirSync', 'truncateSync'],
  ...['writeFileSync', 'writeSync', 'fsyncSync'],
]

/** @returns `after(n)`: n calls work, and the next one throws; `calls()` since then; `never()` */
export function crashing(t: Pick<TestContext, 'after'>) {
  const table = fs as unknown as Record<string, AnyCall>
  const real = changing.map((name) => [name, table[name] as AnyCall] as const)
  let left = Number.POSITIVE_INFINITY
  let calls = 0
  for (const [name, call] of real) {
    table[name] = (...args) => {
      calls++
      if (calls > left) throw new Error(`crash before ${name}`)
      return call(...args)
    }
  }
  syncBuiltinESMExports()
  t.after(() => {
    for (const [name, call] of real) table[name] = call
    syncBuiltinESMExports()
  })
  const after = (n: number) => {
    left = n
    calls = 0
  }
  return { after, never: () => after(Number.POSITIVE_INFINITY), calls: () => calls }
}
