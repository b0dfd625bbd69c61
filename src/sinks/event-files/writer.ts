import { type FileHandle, lstat, statfs } from 'node:fs/promises'
import type { Logger } from 'pino'
import { clock } from '../../platform/clock.ts'
import { takeLock } from '../../platform/lock-file.ts'
import { Folder } from './folder.ts'
import { type Extension, type OpenName, openName, periodOf, recordName } from './names.ts'
import { type FileState, parseState, resume } from './resume.ts'
import type { FileSettings } from './settings.ts'

/*
 * Files that events are appended to, one line each. Invariants:
 *
 *  1. What `append` answered for is on disk (fdatasync), and the state that it answered with says how
 *     far the open file goes. What lies behind a recorded state is cut off at the start, because those
 *     events are offered again.
 *  2. A file that is finished is never touched again, but to be compressed. What was written to it after
 *     the last recorded state is not written again: its record says up to which event it goes.
 *  3. No name is given twice, also when a collector has taken the file away, or the clock was set back.
 *  4. After a failure the folder is looked at again, as at the start, from what is known to be on disk.
 */

/** Below these the disk may be needed by the spool. */
const minFreeBytes = 2 ** 30
const minFreeShare = 0.05

export type FreeSpace = (dir: string) => Promise<{ free: number; size: number }>

export type WriterOptions = FileSettings & {
  extension: Extension
  /** First line of every file; empty for none. */
  header: string
  /** Fields are quoted, and line ends in them belong to them. */
  quoted: boolean
  log: Logger
  state: string | undefined
  freeSpace?: FreeSpace
}

export type Line = { seq: number; text: string }

/** The lines of a batch. Some of its events may have none. */
export type Lines = {
  lines: readonly Line[]
  first: { seq: number; id: string }
  lastSeq: number
}

const freeOf: FreeSpace = async (dir) => {
  const { bavail, blocks, bsize } = await statfs(dir)
  return { free: bavail * bsize, size: blocks * bsize }
}

export class EventFiles {
  readonly #options: WriterOptions
  #folder: Folder | undefined
  #release: (() => void) | undefined
  #open: { file: OpenName; handle: FileHandle } | undefined
  /** How much of the open file is known to be on disk. */
  #bytes = 0
  /** The last event that was written, and up to which one finished files have them already. */
  #seq = 0
  #writtenUpTo = 0
  #nextSerial = 1
  /** Batches under way; and, once there were several, the last event before their order was lost. */
  #underWay = 0
  #lastInOrder: number | undefined
  /** From where a folder that is opened goes on. */
  #from: FileState | undefined
  #busy: Promise<unknown> = Promise.resolve()
  readonly #timer: NodeJS.Timeout

  constructor(options: WriterOptions) {
    this.#options = options
    this.#from = parseState(options.state)
    const look = () => void this.#alone(() => this.#look()).catch(this.#note)
    this.#timer = setInterval(look, 30_000).unref()
    look()
  }

  /**
   * Appends lines, in their order. Either all of them are on disk, or it throws.
   *
   * @returns the state to record with their acknowledgment
   */
  append({ lines, first, lastSeq }: Lines, signal: AbortSignal): Promise<string> {
    // Then a number no longer says that all before it are written: better twice than not at all.
    if (this.#underWay++ > 0) this.#lastInOrder ??= this.#seq
    return this.#alone(async () => {
      const folder = await this.#start(first)
      await this.#compressLast(signal)
      await this.#assertSpace()
      const from = this.#seq
      const isWritten = ({ seq }: Line) => seq > from && seq <= this.#writtenUpTo
      const text = lines.flatMap((line) => (isWritten(line) ? [] : line.text)).join('')
      if (text !== '') await this.#write(folder, Buffer.from(text), signal)
      this.#seq = Math.max(this.#seq, lastSeq)
      return JSON.stringify(this.#state())
    }).finally(() => this.#underWay--)
  }

  /** @returns why nothing could be written */
  async probe(): Promise<string | undefined> {
    const { dir } = await Folder.open(this.#options.output_dir, this.#options.extension)
    return this.#lackOfSpace(dir)
  }

  async close(): Promise<void> {
    clearInterval(this.#timer)
    await this.#alone(() => this.#letGo())
    this.#release?.()
  }

  /** One after the other. After a failure nothing is believed but what is known to be on disk. */
  #alone<T>(work: () => Promise<T>): Promise<T> {
    const run = this.#busy.then(work).catch(async (error: unknown) => {
      await this.#letGo()
      throw error
    })
    this.#busy = run.catch(() => {})
    return run
  }

  async #letGo(): Promise<void> {
    if (this.#folder) this.#from = this.#state()
    const { handle } = this.#open ?? {}
    this.#open = undefined
    this.#folder = undefined
    await handle?.close()
  }

  readonly #note = (error: Error) =>
    this.#options.log.warn({ error }, 'file of events not finished, will retry')

  #state(): FileState {
    const { file } = this.#open ?? {}
    const serial = file?.serial ?? this.#nextSerial - 1
    return { serial, bytes: this.#bytes, seq: this.#seq, life: this.#folder?.record.life }
  }

  async #start(first: Lines['first']): Promise<Folder> {
    if (this.#folder) return this.#folder
    const { output_dir, extension, quoted, log } = this.#options
    const folder = await Folder.open(output_dir, extension)
    this.#release ??= takeLock(folder.path(`${recordName(extension)}.lock`)).release
    const { birth, life } = folder.record
    const isReborn = birth?.seq === first.seq && birth.id === first.id && first.id !== ''
    const born = isReborn ? { serial: birth.serial, bytes: 0, seq: birth.seq - 1, life } : undefined
    const state = this.#isFrom(folder) ? this.#from : born
    const found = await resume(folder, { state, quoted, log })
    if (state === undefined) folder.noteBirth({ serial: found.nextSerial, ...first })
    if (found.open) {
      this.#open = { file: found.open, handle: await folder.reopen(found.open) }
      this.#bytes = found.bytes
    }
    this.#seq = found.seq
    this.#writtenUpTo = found.writtenUpTo
    this.#nextSerial = found.nextSerial
    this.#folder = folder
    return folder
  }

  /** Whether what is recorded was written in this folder. */
  #isFrom({ dir, record }: Folder): boolean {
    if (!this.#from) return false
    if (this.#from.life === record.life) return true
    this.#options.log.warn({ dir }, 'the spool was with other files of events, beginning new ones')
    return false
  }

  /** Also when no event comes: cuts off what was not recorded, finishes the file of a period that is over. */
  async #look(): Promise<void> {
    if (this.#from && !this.#folder) {
      const folder = await Folder.open(this.#options.output_dir, this.#options.extension)
      if (folder.record.life === this.#from.life) await this.#start({ seq: 0, id: '' })
    }
    await this.#finishIfOver()
  }

  async #assertSpace(): Promise<void> {
    const lack = await this.#lackOfSpace(this.#options.output_dir)
    if (lack !== undefined) throw new Error(lack)
  }

  async #lackOfSpace(dir: string): Promise<string | undefined> {
    const { free, size } = await (this.#options.freeSpace ?? freeOf)(dir)
    const least = Math.max(minFreeBytes, size * minFreeShare)
    if (free >= least) return undefined
    const mib = (bytes: number) => `${Math.floor(bytes / 2 ** 20)} MiB`
    return `${mib(free)} are free, and ${mib(least)} have to be (1 GiB and 5 %): free some space, or choose another folder`
  }

  async #write(folder: Folder, text: Buffer, signal: AbortSignal): Promise<void> {
    await this.#assertInPlace(folder)
    const { max_bytes } = this.#options
    if (this.#open && this.#bytes > 0 && this.#bytes + text.length > max_bytes) await this.#finish()
    await this.#finishIfOver()
    await this.#compressLast(signal)
    this.#open ??= await this.#create(folder)
    const { handle } = this.#open
    const isNew = this.#bytes === 0
    const bytes = isNew ? Buffer.concat([Buffer.from(this.#options.header), text]) : text
    for (let at = 0; at < bytes.length; ) {
      const { bytesWritten } = await handle.write(bytes, at, bytes.length - at, this.#bytes + at)
      at += bytesWritten
    }
    await handle.datasync()
    this.#bytes += bytes.length
  }

  /** @throws when the open file was removed or moved: what is written to it would be lost */
  async #assertInPlace(folder: Folder): Promise<void> {
    if (!this.#open) return
    const { file, handle } = this.#open
    const there = await lstat(folder.pathOf(file)).catch(() => undefined)
    if (there?.ino === (await handle.stat()).ino) return
    throw new Error(`${openName(file, folder.extension)} was taken away while it was written`)
  }

  async #create(folder: Folder): Promise<{ file: OpenName; handle: FileHandle }> {
    const file = { serial: this.#nextSerial, period: this.#period() }
    const handle = await folder.create(file)
    this.#nextSerial++
    this.#bytes = 0
    return { file, handle }
  }

  #period = () => periodOf(clock.nowMs(), this.#options.rotation)

  /** The file of a period that is over is finished, also when no event comes. */
  async #finishIfOver(): Promise<void> {
    if (this.#open && this.#bytes > 0 && this.#open.file.period !== this.#period()) {
      await this.#finish()
    }
  }

  async #finish(): Promise<void> {
    if (!this.#open || !this.#folder) return
    const { file, handle } = this.#open
    await this.#assertInPlace(this.#folder)
    await handle.sync()
    await this.#folder.finish(file, this.#lastInOrder ?? this.#seq)
    this.#open = undefined
    this.#bytes = 0
    await handle.close()
    const name = openName(file, this.#options.extension)
    this.#options.log.info({ file: this.#folder.record.name, name }, 'file of events finished')
  }

  async #compressLast(signal: AbortSignal): Promise<void> {
    const name = this.#folder?.record.name
    if (this.#options.compression && name) await this.#folder?.compress(name, signal)
  }
}
