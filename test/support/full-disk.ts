import fs, { constants, existsSync, readlinkSync } from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'
import type { TestContext } from 'node:test'

/*
 * A disk that is full for the files of chosen names, by way of Node's synchronous calls: what is there
 * can be read and removed, but nothing can be added. Within this process only.
 */

type AnyCall = (...args: never[]) => unknown

/** Calls that take space, with the argument that is the new name. */
const named = {
  writeFileSync: 0,
  appendFileSync: 0,
  mkdirSync: 0,
  mkdtempSync: 0,
  symlinkSync: 1,
  linkSync: 1,
  copyFileSync: 1,
} as const

function full(path: string): NodeJS.ErrnoException {
  const message = `ENOSPC: no space left on device, '${path}'`
  return Object.assign(new Error(message), { code: 'ENOSPC', syscall: 'write' })
}

/** A way to fill the disk for one file and what is made beside it under the same beginning. */
export function diskOf(t: Pick<TestContext, 'after'>) {
  const table = fs as unknown as Record<string, AnyCall>
  const real = new Map<string, AnyCall>()
  const replace = (name: string, by: (call: AnyCall, args: never[]) => unknown) => {
    const call = table[name] as AnyCall
    real.set(name, call)
    table[name] = (...args) => by(call, args)
  }
  let fills: string | undefined
  let leftBytes = 0
  const isFull = (path: unknown) => fills !== undefined && String(path).startsWith(fills)

  for (const [name, at] of Object.entries(named)) {
    replace(name, (call, args) => {
      if (isFull(args[at])) throw full(String(args[at]))
      return call(...args)
    })
  }
  replace('writeSync', (call, args) => {
    const [file, content, from = 0, length] = args as unknown as [number, Buffer, number?, number?]
    const path = readlinkSync(`/proc/self/fd/${file}`)
    if (!isFull(path)) return call(...args)
    if (leftBytes === 0) throw full(path)
    const bytes = content.subarray(from, from + Math.min(leftBytes, length ?? content.length))
    leftBytes -= bytes.length
    return call(...([file, bytes] as never[]))
  })
  replace('openSync', (call, args) => {
    const [path, flags = 'r'] = args as unknown as [string, (string | number)?]
    const makes = typeof flags === 'number' ? (flags & constants.O_CREAT) !== 0 : /[wa]/.test(flags)
    if (makes && isFull(path) && !existsSync(path)) throw full(path)
    return call(...args)
  })
  syncBuiltinESMExports()
  t.after(() => {
    for (const [name, call] of real) table[name] = call
    syncBuiltinESMExports()
  })
  return {
    /** From now on nothing can be added under names that begin with `path`, but for these bytes. */
    fill(path: string, bytes = 0) {
      fills = path
      leftBytes = bytes
    },
    free() {
      fills = undefined
    },
  }
}
