import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import { problemType } from './problem.ts'

const answers: Record<string, [status: string, detail: string]> = {
  HPE_HEADER_OVERFLOW: [
    '431 Request Header Fields Too Large',
    'the headers and the address together exceed 16 KiB; shorten them',
  ],
  ERR_HTTP_REQUEST_TIMEOUT: ['408 Request Timeout', 'the request took too long to arrive'],
}
const other: [string, string] = [
  '400 Bad Request',
  'this is not a valid HTTP/1.1 request; check method, address, headers and line endings',
]

const twoHosts: [string, string] = [
  '400 Bad Request',
  'there are several Host headers; send one (a proxy must replace it, not add its own)',
]

/** How long a caller has to take such an answer, in milliseconds. */
const lingerMs = 500

/**
 * Ends what was answered: a caller that neither closes nor reads would hold its connection, and a
 * descriptor of ours, for as long as it likes. What it still sends is thrown away, because closing over
 * unread bytes takes the answer from it.
 */
function endSoon(socket: Duplex, answer: string): void {
  socket.end(answer)
  socket.resume()
  const timer = setTimeout(() => socket.destroy(), lingerMs).unref()
  socket.once('end', () => socket.destroy())
  socket.once('close', () => clearTimeout(timer))
}

/** Answers a request that no route sees, because it is not readable as HTTP, like any other. */
export function answerUnreadable(server: Server): void {
  server.on('clientError', (error: NodeJS.ErrnoException, socket: Duplex) => {
    // The caller is gone, or an answer is under way already.
    if (error.code === 'ECONNRESET' || !socket.writable) {
      socket.destroy()
      return
    }
    const [line, detail] = answers[error.code ?? ''] ?? other
    const body = toBody([line, detail])
    endSoon(
      socket,
      `HTTP/1.1 ${line}\r\nConnection: close\r\nContent-Type: application/problem+json\r\n` +
        `Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
    )
  })
}

/**
 * Refuses a request with several Host headers, as RFC 9112 asks: Node takes the first of them, and a proxy before us
 * may have checked another.
 *
 * @returns true when it was answered
 */
export function refuseTwoHosts(request: IncomingMessage, response: ServerResponse): boolean {
  if (countHosts(request.rawHeaders) < 2) return false
  const body = toBody(twoHosts)
  response.writeHead(Number(twoHosts[0].slice(0, 3)), {
    ...{ connection: 'close', 'content-type': 'application/problem+json' },
    'content-length': Buffer.byteLength(body),
  })
  response.end(body)
  // Closing over what the caller still sends would take the answer from it.
  request.resume()
  return true
}

/** @param raw names and values in turn; asked of every request */
function countHosts(raw: readonly string[]): number {
  let count = 0
  for (let i = 0; i < raw.length; i += 2) {
    const name = raw[i] ?? ''
    if (name.length === 4 && name.toLowerCase() === 'host') count++
  }
  return count
}

function toBody([line, detail]: readonly [string, string]): string {
  const [status, title] = [Number(line.slice(0, 3)), line.slice(4).toLowerCase()]
  return JSON.stringify({ type: `${problemType}unreadable`, title, status, detail })
}
