import { hash } from 'node:crypto'
import type { ArchiveKind, ArchiveRow } from '../store/archive/columns.ts'
import type { JobKind } from '../store/archive/jobs-sql.ts'
import { columnAt, idColumn, readRows, type StoredFile } from './archive-rows.ts'
import { DayFailure } from './day-failure.ts'
import { shareCount, shareOf } from './superseded.ts'

/*
 * The proof before files are replaced: that the new ones, as they read back, have all that is needed of the old. It shares
 * nothing with what has written them but the reading of a file.
 *
 * - Events: the same rows, value by value, each as often; in whatever order.
 * - Jobs: of each job the last version of the old files, value by value, and nothing besides; a job may be absent when
 *   its last version says that it has left the day.
 */

/** @throws DayFailure naming the first row that is not where it has to be */
export async function proveRows(
  kind: ArchiveKind,
  old: readonly StoredFile[],
  fresh: readonly StoredFile[],
  keepsMoves: boolean,
): Promise<void> {
  if (kind === 'event') return proveEvents(old, fresh)
  const shares = shareCount(old)
  for (let share = 0; share < shares; share++) {
    const isOfShare = (id: string) => shareOf(id, shares) === share
    await proveJobs(kind, { old, fresh, keepsMoves, isOfShare })
  }
}

async function proveEvents(old: readonly StoredFile[], fresh: readonly StoredFile[]) {
  const [before, after] = [await addUp(old), await addUp(fresh)]
  if (before.rows === after.rows && before.sum === after.sum) return
  throw new DayFailure(
    `the ${before.rows} events of ${old.length} files are not the ${after.rows} of the ${fresh.length} that were to replace them; they stay as they are`,
  )
}

/** Count and sum of the hashes of rows: the same for the same rows in any order, and for no others. */
async function addUp(files: readonly StoredFile[]): Promise<{ rows: number; sum: bigint }> {
  const total = { rows: 0, sum: 0n }
  for (const file of files) {
    for await (const rows of readRows(file)) {
      total.rows += rows.length
      for (const row of rows) {
        total.sum = BigInt.asUintN(256, total.sum + BigInt(`0x${hashRow(row)}`))
      }
    }
  }
  return total
}

/** A row's values with their types, each with its length before it. */
function hashRow(row: ArchiveRow): string {
  let text = ''
  for (const value of row) {
    const said = value === null ? '' : String(value)
    text += `${value === null ? 'null' : typeof value} ${said.length} ${said}`
  }
  return hash('sha256', text)
}

type JobFiles = {
  old: readonly StoredFile[]
  fresh: readonly StoredFile[]
  keepsMoves: boolean
  /** The jobs that are looked at now. */
  isOfShare: (id: string) => boolean
}

type Kept = { version: number; digest: string; isFound: boolean }
type Gone = { version: number; hasMoved: boolean }

async function proveJobs(kind: JobKind, { old, fresh, keepsMoves, isOfShare }: JobFiles) {
  const kept = new Map<string, Kept>()
  for await (const { id, version, row } of jobRows(kind, fresh, isOfShare)) {
    if (kept.has(id)) refuse(kind, id, 'has two rows in the new files')
    kept.set(id, { version, digest: hashRow(row), isFound: false })
  }
  const gone = new Map<string, Gone>()
  for await (const { id, version, hasMoved, row } of jobRows(kind, old, isOfShare)) {
    const now = kept.get(id)
    if (!now) {
      const last = gone.get(id)
      if (!last || last.version < version) gone.set(id, { version, hasMoved })
    } else if (version > now.version) {
      refuse(kind, id, `has version ${version}, and the new files have ${now.version}`)
    } else if (version === now.version) {
      if (hashRow(row) !== now.digest) refuse(kind, id, `differs in version ${version}`)
      now.isFound = true
    }
  }
  for (const [id, { isFound }] of kept) if (!isFound) refuse(kind, id, 'is in the new files alone')
  for (const [id, { hasMoved }] of gone) {
    if (keepsMoves || !hasMoved) refuse(kind, id, 'is not in the new files')
  }
}

function refuse(kind: JobKind, id: string, what: string): never {
  throw new DayFailure(`${kind} ${id} ${what}; the files stay as they are`)
}

async function* jobRows(
  kind: JobKind,
  files: readonly StoredFile[],
  isOfShare: (id: string) => boolean,
) {
  const [idAt, versionAt, movedAt] = [idColumn(kind), 'version', 'moved_to'].map((name) =>
    columnAt(kind, name),
  ) as [number, number, number]
  for (const file of files) {
    for await (const rows of readRows(file)) {
      for (const row of rows) {
        const id = String(row[idAt])
        if (!isOfShare(id)) continue
        yield { id, version: Number(row[versionAt]), hasMoved: row[movedAt] !== null, row }
      }
    }
  }
}
