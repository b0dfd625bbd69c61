import net from 'node:net'
import type { TestContext } from 'node:test'

/** A way to a database that can go silent, as a cut network does: nothing is closed, nothing comes. */
export type Proxy = {
  /** The database's address by this way. */
  url: string
  cut(): void
  repair(): void
  /** Cuts the connections of that name which are open, for good; others, and new ones, work. */
  silence(name: string): number
}

/** Hands every connection on, and takes everything down after the test. @returns the address */
async function through(
  t: Pick<TestContext, 'after'>,
  to: string,
  join: (client: net.Socket, behind: net.Socket) => void,
): Promise<string> {
  const target = new URL(to)
  const folder = target.searchParams.get('host')
  const port = Number(target.port || 5432)
  const path = folder?.startsWith('/') ? `${folder}/.s.PGSQL.${port}` : undefined
  const all = new Set<net.Socket>()
  const server = net.createServer((client) => {
    const behind = path ? net.connect(path) : net.connect(port, target.hostname)
    for (const [from, other] of [
      [client, behind],
      [behind, client],
    ] as const) {
      all.add(from)
      from.on('error', () => {})
      from.on('close', () => other.destroy())
    }
    join(client, behind)
  })
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  t.after(() => {
    for (const socket of all) socket.destroy()
    server.close()
  })
  const url = new URL(to)
  url.searchParams.delete('host')
  url.hostname = '127.0.0.1'
  url.port = String((server.address() as net.AddressInfo).port)
  return url.href
}

/** Over loopback TCP, to the Unix socket or the port that the address names. */
export async function silentProxy(t: Pick<TestContext, 'after'>, to: string): Promise<Proxy> {
  let silent = false
  const sockets = new Set<net.Socket>()
  /** The first message of each, which has its name, as long as it is not cut by itself. */
  const greetings = new Map<net.Socket, string>()
  const url = await through(t, to, (client, behind) => {
    sockets.add(client)
    client.once('data', (data) => greetings.set(client, data.toString('latin1')))
    const isSilent = () => silent || greetings.get(client) === ''
    client.on('close', () => greetings.delete(client))
    client.on('data', (data) => isSilent() || behind.write(data))
    behind.on('data', (data) => isSilent() || client.write(data))
  })
  return {
    url,
    cut: () => {
      silent = true
    },
    repair: () => {
      silent = false
      // Swallowed bytes are lost: the earlier connections are of no use.
      for (const socket of sockets) socket.destroy()
    },
    silence: (name) => {
      const found = [...greetings].filter(([, greeting]) => greeting.includes(name))
      for (const [socket] of found) greetings.set(socket, '')
      return found.length
    },
  }
}

/** A way to a database on which connections can be closed or reset. */
export async function cuttingProxy(t: Pick<TestContext, 'after'>, to: string) {
  const sockets = new Set<net.Socket>()
  const proxy = await through(t, to, (client, behind) => {
    sockets.add(client)
    client.on('close', () => sockets.delete(client))
    client.pipe(behind)
    behind.pipe(client)
  })
  return {
    url: proxy,
    open: () => sockets.size,
    cut: (how: 'closed' | 'reset') => {
      for (const socket of sockets) {
        if (how === 'reset') socket.resetAndDestroy()
        else socket.destroy()
      }
    },
  }
}
