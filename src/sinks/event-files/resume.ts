import type { Logger } from 'pino'
import type { Folder } from './folder.ts'
import { type OpenName, openName } from './names.ts'
import { measureWholeLines } from './whole-lines.ts'

/** What the spool records with an acknowledgment: the open file, its size, the last event written, whose they are. */
export type FileState = { serial: number; bytes: number; seq: number; life: string | undefined }

/** Where writing goes on. */
type Resumed = {
  open?: OpenName
  bytes: number
  seq: number
  /** Events after `seq` and up to here are in finished files. */
  writtenUpTo: number
  nextSerial: number
}

type Options = { state: FileState | undefined; quoted: boolean; log: Logger }

/** Brings a folder into the state that was recorded; without one, keeps what is there. */
export async function resume(folder: Folder, options: Options): Promise<Resumed> {
  const { state } = options
  const open = await folder.listOpen()
  const serials = [0, state?.serial ?? 0, folder.record.serial, ...open.map(({ serial }) => serial)]
  const nextSerial = Math.max(...serials) + 1
  if (!state) {
    for (const file of open) await keep(folder, file, 0, options)
    return { bytes: 0, seq: 0, writtenUpTo: 0, nextSerial }
  }
  const { serial, seq } = state
  const own = open.find((file) => file.serial === serial)
  const others = open.filter((file) => file !== own)
  if (own) {
    for (const file of others) await keep(folder, file, seq, options)
    const bytes = await cut(folder, own, state, options)
    return { open: own, bytes, seq, writtenUpTo: seq, nextSerial }
  }
  const { record } = folder
  const isFinished = record.serial >= serial
  if (!isFinished && state.bytes > 0) {
    options.log.error({ dir: folder.dir, serial }, 'the file of events that was open is gone')
  }
  for (const file of others) {
    // Begun after the last one that was finished: what is in it is offered again.
    if (file.serial > Math.max(record.serial, serial)) await folder.remove(file)
    else await keep(folder, file, record.seq, options)
  }
  return { bytes: 0, seq, writtenUpTo: isFinished ? Math.max(seq, record.seq) : seq, nextSerial }
}

/** @returns undefined for a text that is none */
export function parseState(text: string | undefined): FileState | undefined {
  try {
    const { serial, bytes, seq, life } = Object(JSON.parse(text ?? '')) as FileState
    const fits = [serial, bytes, seq].every((n) => Number.isSafeInteger(n) && n >= 0)
    return fits ? { serial, bytes, seq, life } : undefined
  } catch {
    return undefined
  }
}

/** Cuts the open file to its recorded size. @returns its size then */
async function cut(
  folder: Folder,
  file: OpenName,
  { bytes }: FileState,
  { quoted, log }: Options,
): Promise<number> {
  const handle = await folder.reopen(file)
  try {
    const { size } = await handle.stat()
    const name = openName(file, folder.extension)
    if (size < bytes)
      log.error({ file: name, size, recorded: bytes }, 'a file of events is too short')
    const target = size < bytes ? await measureWholeLines(handle, quoted) : bytes
    await handle.truncate(target)
    await handle.sync()
    return target
  } finally {
    await handle.close()
  }
}

/** Finishes a file as it is, but for a torn last line. */
async function keep(
  folder: Folder,
  file: OpenName,
  seq: number,
  { quoted }: Options,
): Promise<void> {
  const handle = await folder.reopen(file)
  let whole: number
  try {
    whole = await measureWholeLines(handle, quoted)
    await handle.truncate(whole)
    await handle.sync()
  } finally {
    await handle.close()
  }
  if (whole === 0) await folder.remove(file)
  else await folder.finish(file, seq)
}
