import { readFileSync } from 'node:fs'
import { writeDurably } from '../../platform/durable-file.ts'

/** What is known of finished files, kept in their folder. */
export type FolderRecord = {
  /** Of the file that was finished last; 0 before the first. */
  serial: number
  /** Number, in the spool, of the last event in it. */
  seq: number
  /** Name of it. */
  name: string
  /** The last number that was given in a period, so that no name is given twice. By the length of the period. */
  given: Record<string, { period: string; number: number }>
  /**
   * The first event that was offered when nothing was recorded in the spool yet, and the file that it came
   * into. When it is offered first once more, still nothing is recorded, and all since then comes again.
   */
  birth?: Birth
  /**
   * Stands in what the spool records too, new with each birth. A state with another one is of another folder, or
   * of another spool that wrote here: its numbers say nothing about these files.
   */
  life?: string
}

export type Birth = { serial: number; seq: number; id: string }

const none: FolderRecord = { serial: 0, seq: 0, name: '', given: {} }

/** @returns the record of a folder that has none yet when there is none that can be read */
export function readRecord(path: string): FolderRecord {
  try {
    const { serial, seq, name, given, birth, life } = Object(JSON.parse(readFileSync(path, 'utf8')))
    const fits =
      Number.isSafeInteger(serial) && Number.isSafeInteger(seq) && typeof name === 'string'
    const more = { ...(birth ? { birth } : {}), ...(life ? { life } : {}) }
    if (fits) return { serial, seq, name, given: Object(given), ...more }
  } catch {
    // Not there, or torn by something else than us: names that exist are not given again either.
  }
  return none
}

export const writeRecord = (path: string, record: FolderRecord): void =>
  writeDurably(path, `${JSON.stringify(record)}\n`, { mode: 0o640 })
