import { connect, type Socket } from 'node:net'
import type { Address } from './settings.ts'

/*
 * An exchange with a trapper port: one connection, one packet, one answer. Guarantees, whatever the other side does:
 *
 *  1. One deadline covers all of it: name, connection, packet and the whole answer.
 *  2. No more than `maxAnswerBytes` of an answer are kept.
 *  3. It ends with a whole answer, or with a PeerError.
 */

/** ZBXD, then 1: a plain packet. Length and a reserved number follow, little-endian, 4 bytes each. */
const magic = Buffer.from('ZBXD\x01', 'latin1')
const headBytes = magic.length + 8

/** An answer has about 100 bytes. */
export const maxAnswerBytes = 65_536

/** There is no answer that can be used. The message continues a sentence: "it" + " closed the connection". */
export class PeerError extends Error {
  override readonly name = 'PeerError'
  /** Waiting does not help. */
  readonly permanent: boolean

  constructor(message: string, permanent = false) {
    super(message)
    this.permanent = permanent
  }
}

export type ExchangeOptions = { address: Address; timeoutMs: number; signal: AbortSignal }

/** Sends JSON, and reads the JSON that comes back. @throws PeerError */
export function exchange(
  text: string,
  { address, timeoutMs, signal }: ExchangeOptions,
): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(address)
    const end = (act: () => void) => {
      clearTimeout(timer)
      signal.removeEventListener('abort', onAbort)
      socket.destroy()
      act()
    }
    const fail = (message: string) => end(() => reject(new PeerError(message)))
    const onAbort = () => fail('was not asked: stopping')
    const timer = setTimeout(() => fail(`did not answer within ${timeoutMs / 1000} s`), timeoutMs)
    signal.addEventListener('abort', onAbort, { once: true })
    socket.on('error', ({ code, message }: NodeJS.ErrnoException) =>
      fail(`cannot be reached (${code ?? message})`),
    )
    readAnswer(socket, (answer) =>
      end(() => (answer instanceof PeerError ? reject(answer) : resolve(answer))),
    )
    if (signal.aborted) onAbort()
    else socket.write(toPacket(text))
  })
}

export function toPacket(text: string): Buffer {
  const body = Buffer.from(text)
  const head = Buffer.alloc(headBytes)
  magic.copy(head)
  head.writeUInt32LE(body.length, magic.length)
  return Buffer.concat([head, body])
}

function readAnswer(socket: Socket, settle: (answer: string | PeerError) => void): void {
  let got = Buffer.alloc(0)
  socket.on('data', (chunk: Buffer) => {
    got = Buffer.concat([got, chunk])
    const answer = parseAnswer(got)
    if (answer !== undefined) settle(answer)
  })
  socket.on('close', () =>
    settle(new PeerError('closed the connection before its answer was whole')),
  )
}

/** The text of an answer; undefined while it is not whole. */
export function parseAnswer(got: Buffer): string | PeerError | undefined {
  const begin = got.subarray(0, magic.length)
  if (!magic.subarray(0, begin.length).equals(begin)) return findOddHead(got)
  if (got.length < headBytes) return undefined
  const length = got.readUInt32LE(magic.length)
  if (length > maxAnswerBytes) {
    return new PeerError(`announces an answer of ${length} bytes, over ${maxAnswerBytes}`, true)
  }
  const body = got.subarray(headBytes)
  if (body.length > length) return new PeerError('sends more than its answer announces')
  return body.length < length ? undefined : body.toString('utf8')
}

function findOddHead(got: Buffer): PeerError | undefined {
  const isZabbix = got.subarray(0, 4).equals(magic.subarray(0, 4))
  const why = isZabbix
    ? `answers a plain packet with flags ${got[4]}, which were not asked for`
    : 'does not answer as Zabbix does; check zabbix_server: it must be the trapper port (10051), not the web interface'
  return new PeerError(why, true)
}
