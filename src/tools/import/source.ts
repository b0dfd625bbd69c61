import { createReadStream } from 'node:fs'
import { open } from 'node:fs/promises'
import { pipeline } from 'node:stream'
import { createGunzip } from 'node:zlib'
import { ConfigError } from '../../core/errors.ts'

/** A piece of a file with the number of its first line, or why there is none. */
export type Cut<T> = { line: number; value: T } | BadPiece
export type BadPiece = { line: number; why: string }

/** Longest line that is read, in UTF-16 units: a longer one is left out, and never held. */
const maxLineLength = 16 * 2 ** 20
const chunkBytes = 256 * 1024

/** The file ends or breaks off where it should not; what came before was read. */
export class BrokenFile extends Error {
  override readonly name = 'BrokenFile'
}

/** A file that is imported, as text. It may be compressed with gzip. */
export class Source {
  readonly file: string
  #size = 0
  #read = 0

  constructor(file: string) {
    this.file = file
  }

  /** How much of the file was read, from 0 to 1; undefined when its size is not known (a pipe). */
  get share(): number | undefined {
    return this.#size > 0 ? Math.min(1, this.#read / this.#size) : undefined
  }

  /** @throws ConfigError when it cannot be read, BrokenFile when its compression breaks off */
  async *texts(): AsyncGenerator<string> {
    const decoder = new TextDecoder()
    try {
      for await (const chunk of await this.#open()) {
        const text = decoder.decode(chunk, { stream: true })
        if (text !== '') yield text
      }
    } catch (error) {
      throw this.#explain(error)
    }
    const rest = decoder.decode()
    if (rest !== '') yield rest
  }

  /** The lines with their numbers from 1, without line ends; one that is too long is named. */
  async *lines(maxLength: number = maxLineLength): AsyncGenerator<Cut<string>> {
    let line = 0
    let rest = ''
    let tooLong = false
    const cut = (text: string): Cut<string> => {
      line++
      if (tooLong || text.length > maxLength) {
        tooLong = false
        return { line, why: `is longer than ${maxLength} characters` }
      }
      return { line, value: text.endsWith('\r') ? text.slice(0, -1) : text }
    }
    for await (const text of this.texts()) {
      let from = 0
      for (let end = text.indexOf('\n'); end !== -1; end = text.indexOf('\n', from)) {
        yield cut(rest + text.slice(from, end))
        rest = ''
        from = end + 1
      }
      rest += text.slice(from)
      if (rest.length <= maxLength) continue
      tooLong = true
      rest = ''
    }
    if (rest !== '' || tooLong) yield cut(rest)
  }

  async #open(): Promise<AsyncIterable<Buffer>> {
    const handle = await open(this.file)
    const { size } = await handle.stat()
    const start = Buffer.alloc(2)
    // A pipe cannot be read at a position: it is taken as it is.
    const packed = size > 0 && (await handle.read(start, 0, 2, 0)).bytesRead === 2
    this.#size = size
    this.#read = 0
    await handle.close()
    const stream = createReadStream(this.file, { highWaterMark: chunkBytes })
    stream.on('data', (chunk) => {
      this.#read += chunk.length
    })
    stream.pause()
    if (!packed || start.readUInt16BE() !== 0x1f8b) return stream
    // What goes wrong ends the iteration, which reports it.
    return pipeline(stream, createGunzip({ chunkSize: chunkBytes }), () => {})
  }

  #explain(error: unknown): unknown {
    const { code = '', syscall } = error as NodeJS.ErrnoException
    if (code.startsWith('Z_')) return new BrokenFile(`its compression is broken here (${code})`)
    if (syscall === undefined) return error
    return new ConfigError(`cannot read ${this.file} (${code}); give the file to import`)
  }
}
