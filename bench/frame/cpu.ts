import { readFileSync } from 'node:fs'
import type { Measured } from './bench.ts'

/** The kernel counts CPU in hundredths of a second. */
const tickUs = 10_000

/** CPU that a process has used so far, all its threads, user and system, in microseconds. */
export function cpuUs(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
  // The second field is the name, in parentheses, and may hold spaces.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[11]) + Number(fields[12])) * tickUs
}

/**
 * A rate, with the CPU that the server used for each event. On a machine with other work the rate
 * says little, and the CPU still says what an event costs.
 */
export async function withCpu(pid: number, rate: () => Promise<number>): Promise<Measured> {
  const [cpu, begin] = [cpuUs(pid), performance.now()]
  const figure = await rate()
  const events = (figure * (performance.now() - begin)) / 1000
  return { figure, also: { CPU: (cpuUs(pid) - cpu) / events } }
}
