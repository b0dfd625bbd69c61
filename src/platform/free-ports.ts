import { once } from 'node:events'
import { createServer } from 'node:net'
import { AppError } from '../core/errors.ts'

/** A port, and the flag that sets it. */
export type WantedPort = { flag: string; port: number }

/**
 * Checks that the ports are free on the loopback address; 0 takes a free one.
 *
 * @returns the ports in the order asked
 * @throws AppError `conflict` naming every port that is in use or asked for twice, with its flag
 */
export async function claimPorts(wanted: readonly WantedPort[]): Promise<number[]> {
  const problems: string[] = []
  const ports: number[] = []
  for (const { flag, port } of wanted) {
    const twice = wanted.find((other) => other.port === port && other.flag !== flag && port !== 0)
    const free = await tryPort(port)
    if (free === undefined) {
      problems.push(
        `port ${port} is in use: stop the program that uses it, or choose another with ${flag}`,
      )
    } else if (twice && wanted.indexOf(twice) < ports.length) {
      problems.push(`port ${port} is given twice, by ${twice.flag} and ${flag}`)
    }
    ports.push(free ?? port)
  }
  if (problems.length > 0) throw new AppError('conflict', problems.join('\n'))
  return ports
}

async function tryPort(port: number): Promise<number | undefined> {
  const server = createServer()
  try {
    server.listen(port, '127.0.0.1')
    await once(server, 'listening')
    const address = server.address()
    return typeof address === 'object' ? address?.port : undefined
  } catch {
    return undefined
  } finally {
    server.close()
  }
}
