import type { ArchiveRow } from '../store/archive/columns.ts'
import type { JobKind } from '../store/archive/jobs-sql.ts'
import { idColumn, readRows, type StoredFile } from './archive-rows.ts'
import { readColumns } from './parquet-read.ts'

/*
 * Of the rows of a day's jobs, those that nothing needs any more. A row is needed while it is the last version of its job
 * in this day. A last version with `moved_to` says that the job has left: it is needed while an earlier row of the job
 * stays in the day, which it hides, and without one it says nothing that its absence does not say.
 */

/** Jobs looked at in one reading of the files: it bounds what is in memory. */
const jobsAtATime = 250_000

export type Superseded = {
  rows: number
  /** The rows of a file that are still needed. */
  read(stored: StoredFile): AsyncGenerator<ArchiveRow[]>
}

/**
 * Finds the rows of jobs that are not needed.
 *
 * @param files all files of the kind in the day that are rewritten, in the order of their manifest
 * @param keepsMoves other files of the kind stay in the day, so rows with `moved_to` are needed
 */
export async function findSuperseded(
  files: readonly StoredFile[],
  kind: JobKind,
  keepsMoves: boolean,
): Promise<Superseded> {
  const marks = new Map<StoredFile, Uint8Array>()
  for (const stored of files) marks.set(stored, new Uint8Array(stored.file.rows))
  const shares = shareCount(files)
  let rows = 0
  for (let share = 0; share < shares; share++) {
    rows += await markShare(marks, kind, { share, shares, keepsMoves })
  }
  return { rows, read: (stored) => readUnmarked(stored, marks.get(stored)) }
}

/** Into how many shares the jobs of files are divided, so that one of them fits the memory. */
export const shareCount = (files: readonly StoredFile[]) =>
  Math.max(1, Math.ceil(files.reduce((sum, { file }) => sum + file.rows, 0) / jobsAtATime))

/** The share of a job: the end of its id is as good as random. */
export const shareOf = (id: string, shares: number) =>
  shares === 1 ? 0 : (Number.parseInt(id.slice(-6), 16) || 0) % shares

type Last = { version: number; marks: Uint8Array; row: number; hasMoved: boolean }

/** @returns how many rows it has marked */
async function markShare(
  marks: ReadonlyMap<StoredFile, Uint8Array>,
  kind: JobKind,
  { share, shares, keepsMoves }: { share: number; shares: number; keepsMoves: boolean },
): Promise<number> {
  const last = new Map<string, Last>()
  let marked = 0
  const mark = ({ marks, row }: Last) => {
    marks[row] = 1
    marked++
  }
  for (const [{ content }, ofFile] of marks) {
    let begin = 0
    await readColumns(content, [idColumn(kind), 'version', 'moved_to'], (values, rows) => {
      const [ids = [], versions = [], moved = []] = values
      for (let i = 0; i < rows; i++) {
        const id = String(ids[i])
        if (shareOf(id, shares) !== share) continue
        const one = {
          ...{ version: Number(versions[i]), marks: ofFile },
          ...{ row: begin + i, hasMoved: moved[i] !== null },
        }
        const other = last.get(id)
        const isLast = !other || one.version >= other.version
        if (isLast) last.set(id, one)
        if (other) mark(isLast ? other : one)
      }
      begin += rows
    })
  }
  if (!keepsMoves) for (const one of last.values()) if (one.hasMoved) mark(one)
  return marked
}

async function* readUnmarked(stored: StoredFile, marks: Uint8Array | undefined) {
  let begin = 0
  for await (const rows of readRows(stored)) {
    yield rows.filter((_, i) => marks?.[begin + i] !== 1)
    begin += rows.length
  }
}
