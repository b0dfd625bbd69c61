import { fromMicros } from '../core/time.ts'
import type { Day } from '../store/archive/days.ts'
import { type ArchivedFile, noteFiles, noteManifest } from '../store/archive/files.ts'
import { endIntentIn } from '../store/archive/intent.ts'
import { type ArchivedJob, forgetJobs, noteJobs } from '../store/archive/jobs.ts'
import type { JobKind } from '../store/archive/jobs-sql.ts'
import { deleteArchived } from '../store/archive/late.ts'
import { forgetRemovals, noteRemovals } from '../store/archive/removals.ts'
import type { Store } from '../store/connect.ts'
import type { TransactionSql } from '../store/driver.ts'
import { beginSlowly, type Loss } from '../store/slow-transaction.ts'
import { DayFailure } from './day-failure.ts'
import { readEventKeys } from './known-events.ts'
import { toPartition } from './layout.ts'
import type { Found, Manifest } from './manifest.ts'
import { toArchivedFiles } from './manifest-file.ts'
import { readColumns } from './parquet-read.ts'
import type { Place } from './places/place.ts'

/*
 * The last step of archiving: the database notes a manifest that is in the archive. In one transaction, and from the files
 * as they read back now, not from what was meant to be in them:
 *
 * - the manifest and its files;
 * - which version of which job lies in the day: with that, retention may delete the job;
 * - the files that it took out of the day, which leave the record and wait to be deleted (replaced.ts);
 * - the late events that the files have leave "event_late".
 *
 * So a row of "event_late" whose key is in a file on record came again after it had been archived.
 */

/**
 * @param fresh the files whose rows are not on record yet
 * @param files those to be put on record; all of the manifest unless given
 */
export async function noteDay(
  store: Store,
  place: Place,
  day: Day,
  { manifest, link }: Found,
  fresh: readonly ArchivedFile[],
  files: readonly ArchivedFile[] = toArchivedFiles(manifest.files),
): Promise<void> {
  await beginSlowly(
    store,
    { operation: 'noteDay', table: 'archive_manifest' },
    async (tx, loss) => {
      // Between two statements files are read.
      await tx`set local idle_in_transaction_session_timeout = '60s'`
      const { site, seq, number } = manifest
      const recorded = { site, seq, day: manifest.day, number, sha256: link.sha256 }
      await noteManifest(tx, recorded, manifest.late_events)
      await noteFiles(tx, day, files)
      // One that was taken out before may be named again.
      const named = manifest.files.map(({ path }) => path)
      await forgetRemovals(tx, day, named)
      const removed = manifest.removed?.files ?? []
      await noteRemovals(tx, day, { number, paths: removed.map(({ path }) => path) })
      if (manifest.removed?.reason === 'expired') await forgetEmptied(tx, day, manifest)
      await endIntentIn(tx, { day, number })
      for (const file of fresh) {
        if (file.kind !== 'event') await noteJobsOf(tx, place, day, file, file.kind, loss)
        else if (manifest.late_events > 0) await deleteLate(tx, place, file, loss)
      }
    },
  )
}

/** Of kinds that the day has no files of any more, the jobs leave the record too. */
async function forgetEmptied(
  tx: TransactionSql,
  day: Day,
  { files, removed }: Manifest,
): Promise<void> {
  const left = new Set(files.map(({ table }) => table))
  const gone = new Set(removed?.files.map(({ table }) => table))
  for (const kind of gone) if (kind !== 'event' && !left.has(kind)) await forgetJobs(tx, kind, day)
}

/** Keys in one statement. */
const batch = 5000

async function deleteLate(tx: TransactionSql, place: Place, file: ArchivedFile, loss: Loss) {
  await readEventKeys(place, file, async (keys) => {
    for (let i = 0; i < keys.length; i += batch) {
      assertConnected(loss)
      await deleteArchived(tx, keys.slice(i, i + batch))
    }
  })
}

async function noteJobsOf(
  tx: TransactionSql,
  place: Place,
  day: Day,
  file: ArchivedFile,
  kind: JobKind,
  loss: Loss,
): Promise<void> {
  const content = await place.read(file.path)
  if (!content) throw new DayFailure(`${file.path} is missing, although a manifest names it`)
  const partition = toPartition(day)
  const parent = kind === 'job' ? 'parent_id' : 'job_id'
  const columns = [
    ...[`${kind}_id`, 'job_key', parent, 'version', 'moved_to'],
    ...['updated_at', 'started_at', 'last_event_at'],
  ]
  await readColumns(content, columns, async (values, rows) => {
    const [ids = [], keys = [], parents = [], versions = [], moved = [], ...times] = values
    const [updated = [], started = [], seen = []] = times
    const toJob = (_: unknown, i: number): ArchivedJob => ({
      id: String(ids[i]),
      job_key: keys[i] as string | null,
      parent_id: parents[i] as string | null,
      version: Number(versions[i]),
      updated_at: timeOf(updated[i]),
      started_at: timeOf(started[i]),
      last_event_at: timeOf(seen[i]),
      moved_to: moved[i] as string | null,
    })
    const jobs = Array.from({ length: rows }, toJob)
    for (let i = 0; i < rows; i += batch) {
      assertConnected(loss)
      await noteJobs(tx, { kind, day, partition }, jobs.slice(i, i + batch))
    }
  })
}

const timeOf = (us: unknown) => (us === null ? null : fromMicros(us as bigint))

function assertConnected({ lost }: Loss): void {
  if (lost) throw new Error('the connection to the database was lost')
}
