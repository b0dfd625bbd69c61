import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import type { TestContext } from 'node:test'

/** Faults of the network between two processes. */
export type Weather =
  | { kind: 'fine' }
  /** Every piece comes late. */
  | { kind: 'slow'; ms: number }
  /** Both sides are cut off after this many bytes of the request, or of the answer. */
  | { kind: 'cut'; of: 'request' | 'answer'; after: number }
  /** The connection is accepted, and never served. */
  | { kind: 'silent' }
  /** The request arrives, and its answer never does. */
  | { kind: 'deaf' }
  | { kind: 'reset' }
  /** Another server answers. */
  | { kind: 'garbage'; bytes: string | Uint8Array }
  /** The answer comes a byte at a time. */
  | { kind: 'trickle'; ms: number }

export type Proxy = {
  url: string
  /** From now on, for every connection; those there are, are cut. */
  weather(next: Weather): void
  /** Connections that were opened since the weather changed. */
  opened(): number
}

/** A TCP proxy in front of `target` (an address with a port), in fine weather at first. */
export async function startProxy(t: Pick<TestContext, 'after'>, target: string): Promise<Proxy> {
  const port = Number(new URL(target).port)
  const sockets = new Set<Socket>()
  let now: Weather = { kind: 'fine' }
  let opened = 0
  const known = (socket: Socket) => {
    sockets.add(socket)
    socket.on('error', () => socket.destroy())
    socket.once('close', () => sockets.delete(socket))
    return socket
  }
  const server = createServer((caller) => {
    opened++
    known(caller)
    if (now.kind === 'reset') return void caller.resetAndDestroy()
    if (now.kind === 'silent') return void caller.resume()
    if (now.kind === 'garbage') return void caller.end(now.bytes)
    relay(caller, known(connect(port, '127.0.0.1')), now)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const cutAll = () => {
    for (const socket of sockets) socket.destroy()
  }
  t.after(() => {
    server.close()
    cutAll()
  })
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    opened: () => opened,
    weather: (next) => {
      now = next
      opened = 0
      cutAll()
    },
  }
}

function relay(caller: Socket, called: Socket, weather: Weather): void {
  const cut = () => {
    caller.destroy()
    called.destroy()
  }
  caller.once('close', cut)
  called.once('close', cut)
  carry(caller, called, weather, 'request', cut)
  carry(called, caller, weather, 'answer', cut)
}

/** Hands on what comes, as the weather has it, in order. */
function carry(
  from: Socket,
  to: Socket,
  weather: Weather,
  what: 'request' | 'answer',
  cut: () => void,
) {
  let carried = 0
  let last = Promise.resolve()
  from.on('data', (piece: Buffer) => {
    if (weather.kind === 'deaf' && what === 'answer') return
    if (weather.kind === 'slow') last = later(last, weather.ms, () => to.write(piece))
    else if (weather.kind === 'trickle' && what === 'answer') {
      for (const byte of piece) last = later(last, weather.ms, () => to.write(Buffer.of(byte)))
    } else if (weather.kind === 'cut' && weather.of === what) {
      const left = weather.after - carried
      carried += piece.length
      if (left > piece.length) to.write(piece)
      else to.write(piece.subarray(0, Math.max(0, left)), cut)
    } else to.write(piece)
  })
}

async function later(before: Promise<void>, ms: number, then: () => unknown): Promise<void> {
  await before
  await new Promise((done) => setTimeout(done, ms).unref())
  then()
}
