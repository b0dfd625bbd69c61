import { type Condition, idColumn } from './conditions.ts'
import type { DayFile, Values } from './day-file.ts'

/*
 * Which row of a job is its last version, where a day has several files. The versions of one day are all that is compared:
 * in a day that a job has left, its last version says so.
 *
 * The ids of the file with the most rows are not kept: what is in no other file is there once.
 */

type Rank = { version: number; updatedAt: bigint; file: DayFile }

/** The columns that it looks at. */
const versionColumns = ['version', 'updated_at'] as const

export class LastVersions {
  readonly #kind: 'job' | 'subjob'
  readonly #last: ReadonlyMap<string, Rank>

  private constructor(kind: 'job' | 'subjob', last: ReadonlyMap<string, Rank>) {
    this.#kind = kind
    this.#last = last
  }

  /** @param ofIds a condition on ids, when no others matter */
  static async find(
    kind: 'job' | 'subjob',
    files: readonly DayFile[],
    ofIds: readonly Condition[],
  ): Promise<LastVersions> {
    const last = new Map<string, Rank>()
    const [largest, ...others] = [...files].sort((a, b) => b.rows - a.rows)
    for (const file of others) await note(kind, file, ofIds, last, true)
    if (largest && last.size > 0) await note(kind, largest, ofIds, last, false)
    return new LastVersions(kind, last)
  }

  /** True when a row of a file is the last version of its job in the day. */
  has(file: DayFile, values: Values, row: number): boolean {
    const last = this.#last.get(String(values(idColumn(this.#kind), row)))
    return !last || (last.file === file && compare(toRank(file, values, row), last) === 0)
  }
}

async function note(
  kind: 'job' | 'subjob',
  file: DayFile,
  ofIds: readonly Condition[],
  last: Map<string, Rank>,
  addsIds: boolean,
): Promise<void> {
  const id = idColumn(kind)
  for await (const { values, rows } of file.columnsWhere([id, ...versionColumns], ofIds)) {
    for (const row of rows) {
      const key = String(values(id, row))
      const known = last.get(key)
      const rank = toRank(file, values, row)
      if (known ? compare(rank, known) > 0 : addsIds) last.set(key, rank)
    }
  }
}

/** Hours of an earlier version have no versions, and are older than all that have one. */
const toRank = (file: DayFile, values: Values, row: number): Rank => ({
  version: Number(values('version', row) ?? 0),
  updatedAt: (values('updated_at', row) ?? 0n) as bigint,
  file,
})

function compare(a: Rank, b: Rank): number {
  if (a.version !== b.version) return a.version - b.version
  return a.updatedAt < b.updatedAt ? -1 : a.updatedAt > b.updatedAt ? 1 : 0
}
