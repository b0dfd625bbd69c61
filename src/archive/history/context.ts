import { AppError } from '../../core/errors.ts'
import type { ArchiveGap, SearchArchive } from '../../core/job.ts'
import type { Micros } from '../../core/time.ts'
import type { Baselines } from '../../store/baselines.ts'
import type { Store } from '../../store/connect.ts'
import type { StoreReader } from '../../store/store-reader.ts'
import type { Bounds, RowContext } from './rows.ts'
import type { DaySource } from './source.ts'

/** What the parts of the reader share. */
export type History = {
  hot: StoreReader
  store: Store
  /** Undefined where there is no archive. */
  source: DaySource | undefined
  now: () => Micros
  baselines: Baselines
  bounds: Bounds
}

/** What archived rows become jobs with, for one question. */
export async function toContext(
  { store, baselines, now, bounds }: History,
  signal: AbortSignal,
): Promise<RowContext> {
  await baselines.refresh()
  return { store, baselines, now: now(), bounds, signal }
}

/** The archive was to be searched, and could not be. */
export const toUnreachable = (archiveMissing: ArchiveGap[]) =>
  ({ archive: 'unreachable', archiveSearchedFrom: null, archiveMissing }) as const

/** Why the archive cannot be read now. @throws what is not about the archive */
export function toWhyUnreachable(error: unknown, signal: AbortSignal): string {
  signal.throwIfAborted()
  if (error instanceof AppError && error.code === 'unreachable') return error.message
  throw error
}

/** True when the archive may be asked for one job. */
export const mayAsk = ({ source }: History, archive: SearchArchive): boolean =>
  source !== undefined && archive !== false
