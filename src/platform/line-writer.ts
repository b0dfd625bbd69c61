import { closeSync, constants, fstatSync, openSync, writeSync } from 'node:fs'

/*
 * Lines for a reader that may stall, on a disk that may be full. What always holds:
 *
 * 1. A write returns immediately and never throws: neither a full pipe, a terminal stopped with Ctrl-S nor
 *    a full disk holds up or ends the process that logs.
 * 2. Lines are whole and in order. What cannot be written waits, up to a bound; beyond it whole lines
 *    are dropped and counted, the newest ones, so that there is one gap and its place is known.
 */

export type LineWriterOptions = {
  /** Bytes of lines that wait at most, besides what a pipe itself holds. */
  maxWaitingBytes?: number
  /** Called for each dropped line. */
  onDrop?: () => void
}

/** Time until the next attempt, in milliseconds; each new line is an attempt too. */
const againMs = 50

export class LineWriter {
  readonly #file: number
  readonly #maxWaitingBytes: number
  readonly #onDrop: (() => void) | undefined
  readonly #waiting: Buffer[] = []
  #waitingBytes = 0
  #missing = 0
  #timer: NodeJS.Timeout | undefined
  #onGap: ((lines: number) => void) | undefined

  /** @param file a descriptor that is written to; see {@link openStandard} for those of the process */
  constructor(file: number, { maxWaitingBytes = 2 ** 20, onDrop }: LineWriterOptions = {}) {
    this.#file = file
    this.#maxWaitingBytes = maxWaitingBytes
    this.#onDrop = onDrop
    // What still waits gets a last chance, which cannot hold up the end either.
    process.once('exit', () => this.#flush())
  }

  /** Calls `report` with the number of lines that were dropped, once lines are taken again. */
  onGap(report: (lines: number) => void): void {
    this.#onGap = report
  }

  /** Writes a line, its end included. */
  write(line: string): void {
    const bytes = Buffer.from(line)
    if (this.#waitingBytes > 0 && this.#waitingBytes + bytes.length > this.#maxWaitingBytes) {
      this.#missing++
      this.#onDrop?.()
    } else {
      this.#waiting.push(bytes)
      this.#waitingBytes += bytes.length
    }
    this.#flush()
  }

  #flush(): void {
    this.#writeWaiting()
    if (this.#waitingBytes > 0) this.#timer ??= setTimeout(() => this.#again(), againMs).unref()
    if (this.#missing === 0 || this.#waitingBytes > this.#maxWaitingBytes / 2) return
    const lines = this.#missing
    this.#missing = 0
    this.#onGap?.(lines)
  }

  #again(): void {
    this.#timer = undefined
    this.#flush()
  }

  #writeWaiting(): void {
    for (let first = this.#waiting[0]; first; first = this.#waiting[0]) {
      const written = tryWrite(this.#file, first)
      this.#waitingBytes -= written
      if (written < first.length) {
        this.#waiting[0] = first.subarray(written)
        if (written === 0) return
      } else this.#waiting.shift()
    }
  }
}

/** @returns the bytes written: 0 when the reader stalls or has gone, or the disk is full */
function tryWrite(file: number, bytes: Buffer): number {
  try {
    return writeSync(file, bytes)
  } catch {
    return 0
  }
}

/**
 * A descriptor of standard output or error on which a write does not wait. A pipe or terminal is
 * opened a second time for that: the flag on ours would hold for every process that shares it. A
 * socket, such as that of systemd's journal, cannot be opened again, and gets the flag.
 */
export function openStandard(file: 1 | 2): number {
  try {
    const stats = fstatSync(file)
    if (stats.isFile()) return file
    const { O_WRONLY, O_APPEND, O_NONBLOCK, O_NOCTTY } = constants
    return openSync(`/proc/self/fd/${file}`, O_WRONLY | O_APPEND | O_NONBLOCK | O_NOCTTY)
  } catch {
    // Node.js sets the flag when its stream of a pipe or socket is made.
    const stream = file === 1 ? process.stdout : process.stderr
    stream.on('error', () => {})
    return file
  }
}

/** Opens a file for lines at its end, for its owner only and not through a link. */
export function openLog(path: string): number {
  const { O_WRONLY, O_APPEND, O_CREAT, O_NOFOLLOW } = constants
  const file = openSync(path, O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW, 0o600)
  if (fstatSync(file).isFile()) return file
  closeSync(file)
  throw new Error(`${path} is not a file`)
}
