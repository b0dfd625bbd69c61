import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { setTimeout as wait } from 'node:timers/promises'
import { program, startRole } from '../test/support/processes.ts'
import type { Bench, Claim, Context, Turn } from './frame/bench.ts'
import { folder } from './frame/context.ts'

/** The cost of a command and of an idle role, against Node.js that does nothing. */
export const start: Bench = {
  name: 'start',
  about: 'CPU of `wafermon --help`, and memory of each role when idle, against `node -e 0`',
  unit: 'ms or MB',
  async start(context) {
    const { url, server } = await context.database()
    const roles = idleRoles(context, url)
    return {
      sides: {
        '--help, ms': cpuOf([program, '--help']),
        'node -e 0, ms': cpuOf(['-e', '0']),
        ...roles,
        'node, MB': idleNode(),
      },
      claims: [
        { side: '--help, ms', against: 'node -e 0, ms', atMost: 2 },
        ...Object.keys(roles).map((side): Claim => ({ side, against: 'node, MB', atMost: 2 })),
      ],
      facts: () => ({ database: server }),
    }
  },
}

/** Runs of a turn; the kernel counts a child's CPU in hundredths of a second. */
const runs = 10

function cpuOf(args: string[]): Turn {
  return async () => {
    const before = cpuOfChildren()
    for (let run = 0; run < runs; run++) {
      await once(spawn(process.execPath, args, { stdio: 'ignore' }), 'exit')
    }
    return (cpuOfChildren() - before) / runs
  }
}

/** CPU time of our children that have ended, in ms. */
function cpuOfChildren(): number {
  const fields = readFileSync('/proc/self/stat', 'utf8').split(') ')[1]!.split(' ')
  return (Number(fields[13]) + Number(fields[14])) * 10
}

/** How long a role is left alone before it counts as idle, in milliseconds. */
const idleMs = 3000

function idleRoles(context: Context, database: string): Record<string, Turn> {
  const dir = folder(context)
  const nowhere = 'http://127.0.0.1:9'
  const settings: Record<string, Record<string, string>> = {
    sidecar: { SPOOL_DIR: `${dir}/spool`, LOCAL_API_BASE: nowhere },
    'local-api': { DATABASE_URL: database },
    archiver: { DATABASE_URL: database, ARCHIVE_DIR: `${dir}/archive` },
    central: { SITES: `fab1=${nowhere}` },
    web: { LOCAL_API: nowhere },
  }
  return Object.fromEntries(
    Object.entries(settings).map(([role, env]) => [`${role}, MB`, idleRole(context, role, env)]),
  )
}

function idleRole(context: Context, role: string, env: Record<string, string>): Turn {
  return async () => {
    const running = await startRole(context, role, { LOG_LEVEL: 'error', ...env })
    await wait(idleMs)
    const figure = memoryMb(running.pid)
    await running.stop()
    return figure
  }
}

function idleNode(): Turn {
  return async () => {
    const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1e9)'], { stdio: 'ignore' })
    await wait(idleMs)
    const figure = memoryMb(child.pid!)
    child.kill()
    await once(child, 'exit')
    return figure
  }
}

/** Resident memory, in MB. */
const memoryMb = (pid: number) =>
  Math.round(Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024)
