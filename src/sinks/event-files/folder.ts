import { randomUUID } from 'node:crypto'
import { constants, createReadStream, createWriteStream, existsSync } from 'node:fs'
import { chmod, type FileHandle, mkdir, open, readdir, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { createGzip } from 'node:zlib'
import { sync } from '../../platform/durable-file.ts'
import {
  type Extension,
  finishedName,
  type OpenName,
  openName,
  parseOpenName,
  recordName,
} from './names.ts'
import { type Birth, type FolderRecord, readRecord, writeRecord } from './record.ts'

/* The steps on files of a folder. Each may be cut off by a kill, and is then repeated or undone. */

/** Readable by the group, so that a collector need not be the user of the sidecar. */
const fileMode = 0o640

export class Folder {
  readonly dir: string
  readonly extension: Extension
  readonly #recordPath: string
  record: FolderRecord

  /** @throws when it cannot be made or read */
  static async open(dir: string, extension: Extension): Promise<Folder> {
    const made = await mkdir(dir, { recursive: true, mode: 0o750 })
    if (made !== undefined) await chmod(dir, 0o750)
    return new Folder(dir, extension)
  }

  private constructor(dir: string, extension: Extension) {
    this.dir = dir
    this.extension = extension
    this.#recordPath = join(dir, recordName(extension))
    this.record = readRecord(this.#recordPath)
  }

  path(name: string): string {
    return join(this.dir, name)
  }

  pathOf(file: OpenName): string {
    return this.path(openName(file, this.extension))
  }

  /** The files that are being written: after a kill there may be several. The oldest first. */
  async listOpen(): Promise<OpenName[]> {
    const found = await readdir(this.dir, { withFileTypes: true })
    const names = found
      .filter((entry) => entry.isFile())
      .flatMap(({ name }) => parseOpenName(name, this.extension) ?? [])
    return names.sort((a, b) => a.serial - b.serial)
  }

  /** @throws when it exists already */
  async create(file: OpenName): Promise<FileHandle> {
    const { O_CREAT, O_EXCL, O_RDWR } = constants
    const handle = await open(this.pathOf(file), O_RDWR | O_CREAT | O_EXCL, fileMode)
    await handle.chmod(fileMode)
    sync(this.dir)
    return handle
  }

  /** Follows no link: one that leads elsewhere is not ours. */
  reopen(file: OpenName): Promise<FileHandle> {
    return open(this.pathOf(file), constants.O_RDWR | constants.O_NOFOLLOW)
  }

  async remove(file: OpenName): Promise<void> {
    await rm(this.pathOf(file))
    sync(this.dir)
  }

  /**
   * Gives a file its final name. What is in it is synced already.
   *
   * @param seq number of the last event in it
   */
  async finish(file: OpenName, seq: number): Promise<string> {
    const { period, number } = this.#nextNumber(file.period)
    const name = finishedName(period, number, this.extension)
    const given = { ...this.record.given, [period.length]: { period, number } }
    // First, for from here on the name is given; a kill before the next step leaves it unused.
    const serial = Math.max(this.record.serial, file.serial)
    this.#record({ serial, seq: Math.max(this.record.seq, seq), name, given })
    await rename(this.pathOf(file), this.path(name))
    sync(this.dir)
    return name
  }

  /** From here on it belongs to whoever offers these events: what others counted is not theirs. */
  noteBirth(birth: Birth): void {
    this.#record({ birth, life: randomUUID(), seq: birth.seq - 1 })
  }

  #record(changes: Partial<FolderRecord>): void {
    const record = { ...this.record, ...changes }
    writeRecord(this.#recordPath, record)
    this.record = record
  }

  /** Never an earlier period than the last one: a clock that is set back must not give a name again. */
  #nextNumber(wanted: string): { period: string; number: number } {
    const last = this.record.given[wanted.length]
    const period = last && last.period > wanted ? last.period : wanted
    let number = last?.period === period ? last.number + 1 : 1
    const isTaken = () => {
      const path = this.path(finishedName(period, number, this.extension))
      return existsSync(path) || existsSync(`${path}.gz`)
    }
    while (isTaken()) number++
    return { period, number }
  }

  /** Replaces a finished file by a compressed one, which appears whole or not at all. */
  async compress(name: string, signal: AbortSignal): Promise<void> {
    const plain = this.path(name)
    if (!existsSync(plain)) return
    if (!existsSync(`${plain}.gz`)) {
      const partial = `${plain}.gz.partial`
      // One that a kill left; and nothing is written through a link that another user put in its place.
      await rm(partial, { force: true })
      const target = createWriteStream(partial, { flags: 'wx', mode: fileMode, flush: true })
      await pipeline(createReadStream(plain), createGzip(), target, { signal })
      await chmod(partial, fileMode)
      await rename(partial, `${plain}.gz`)
      sync(this.dir)
    }
    await rm(plain)
    sync(this.dir)
  }
}
