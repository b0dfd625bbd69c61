import { connect, type Socket } from 'node:net'

/*
 * Many readers of a live stream, in a process of their own and as cheap as can be: of HTTP they know
 * nothing but the request. Every event carries the time when it was due, on the monotonic clock of the
 * machine; of each piece that a reader receives, the oldest and the newest event count.
 */

const mark = Buffer.from('"due_us":"')
const digits = 16

const nowUs = () => Number(process.hrtime.bigint() / 1000n)

class Reader {
  readonly socket: Socket
  /** The time at which the newest event that was received was due. */
  newest = 0
  #rest = Buffer.alloc(0)

  constructor(url: URL, times: number[]) {
    this.socket = connect(Number(url.port), url.hostname)
    this.socket.write(`GET ${url.pathname} HTTP/1.1\r\nhost: ${url.host}\r\n\r\n`)
    this.socket.on('data', (chunk) => {
      const now = nowUs()
      for (const part of [Buffer.concat([this.#rest, chunk.subarray(0, 64)]), chunk]) {
        this.#note(part, part.indexOf(mark), now, times)
        this.#note(part, part.lastIndexOf(mark), now, times)
      }
      this.#rest = Buffer.from(chunk.subarray(-64))
    })
    this.socket.on('error', () => {})
  }

  #note(part: Buffer, at: number, now: number, times: number[]): void {
    const from = at + mark.length
    if (at < 0 || part.length < from + digits) return
    const due = Number(part.toString('latin1', from, from + digits))
    if (due <= this.newest) return
    this.newest = due
    times.push((now - due) / 1000)
  }
}

let readers: Reader[] = []
const times: number[] = []

type Order = { open?: { url: string; count: number }; report?: { last: number; waitMs: number } }

process.on('message', async ({ open, report }: Order) => {
  if (open) {
    readers = Array.from({ length: open.count }, () => new Reader(new URL(open.url), times))
    await Promise.all(readers.map(({ socket }) => new Promise((done) => socket.once('data', done))))
    times.length = 0
    process.send!({ open: readers.length })
  }
  if (report) {
    const deadline = Date.now() + report.waitMs
    const behind = () => readers.filter(({ newest }) => newest < report.last).length
    while (behind() > 0 && Date.now() < deadline) await new Promise((done) => setTimeout(done, 20))
    const sorted = Float64Array.from(times).sort()
    const p99 = sorted[Math.floor(sorted.length * 0.99)] ?? Infinity
    process.send!({ p99: behind() > 0 ? report.waitMs : p99, behind: behind() })
    for (const { socket } of readers) socket.destroy()
    readers = []
    times.length = 0
  }
})
process.send!({ url: '' })
