import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { measureRoom, type Room } from '../platform/disk-room.ts'
import type { Store } from './connect.ts'

/*
 * The table "disk_room": how much room the disks of the archive and of the database have, hour by hour, and from that
 * how many days are left. Nothing is said that was not measured: neither before a day has been seen, nor of a disk that
 * cannot be seen from here (a bucket, a database on another machine).
 */

export type Disk = 'archive' | 'database'

/** What is known of a disk. */
export type DiskTrend = {
  disk: Disk
  free_bytes: number
  size_bytes: number
  /** Days until it is full as it has filled in the last week; null when that is not known, or it does not fill up. */
  days_left: number | null
  /** Says why there are no `days_left`; null when there are. */
  why: string | null
}

const op = (operation: string) => ({ operation, table: 'disk_room' })

/** Keeps a measurement, at most one in an hour, for 30 days. */
export async function noteRoom(store: Store, disk: Disk, room: Room): Promise<void> {
  const { freeBytes, sizeBytes } = room
  await store.ask(
    op('noteRoom'),
    (sql) => sql`
      /* diskRoom.note */
      with old as (delete from disk_room where at < clock_timestamp() - interval '30 days')
      insert into disk_room (disk, at, free_bytes, size_bytes)
      select ${disk}, clock_timestamp(), ${freeBytes}, ${sizeBytes}
      where not exists (select from disk_room
        where disk = ${disk} and at > clock_timestamp() - interval '1 hour' and at <= clock_timestamp())`,
  )
}

/** Measures the disk of the database, where its folder is on this machine and may be read. */
export async function noteDatabaseRoom(store: Store): Promise<void> {
  const [row] = await store.ask<{ folder: string | null; startedS: number }[]>(
    op('databaseFolder'),
    (sql) => sql`
      /* diskRoom.folder */
      select case when pg_has_role('pg_read_all_settings', 'usage') then current_setting('data_directory') end as folder,
        floor(extract(epoch from pg_postmaster_start_time()))::int8 as started_s`,
  )
  if (!row || row.folder === null || !(await isOfServer(row.folder, row.startedS))) return
  const room = await measureRoom(row.folder)
  if (room) await noteRoom(store, 'database', room)
}

/** The server may be elsewhere, or in a container: a folder of that name is its own when it says when the server started. */
async function isOfServer(folder: string, startedS: number): Promise<boolean> {
  const text = await readFile(join(folder, 'postmaster.pid'), 'utf8').catch(() => '')
  // The process, the folder, and when it started.
  return Math.abs(Number(text.split('\n')[2]) - startedS) <= 2
}

/** Hours that a trend is made of, at least and at most. */
const trendHours = { least: 24, most: 168 }

type Row = {
  disk: Disk
  freeBytes: number
  sizeBytes: number
  bytesADay: number | null
  hours: number
}

/** What is known of each disk that was measured in the last day. */
export async function readTrends(store: Store): Promise<DiskTrend[]> {
  const rows = await store.ask<Row[]>(
    op('trends'),
    (sql) => sql`
      /* diskRoom.trends */
      select disk, (array_agg(free_bytes order by at desc))[1] as free_bytes,
        (array_agg(size_bytes order by at desc))[1] as size_bytes,
        regr_slope(free_bytes, extract(epoch from at) / 86400)::float8 as bytes_a_day,
        (extract(epoch from max(at) - min(at)) / 3600)::float8 as hours
      from disk_room
      where at > clock_timestamp() - make_interval(hours => ${trendHours.most}) and at <= clock_timestamp()
      group by disk having max(at) > clock_timestamp() - interval '1 day' order by disk`,
  )
  return rows.map(toTrend)
}

function toTrend({ disk, freeBytes, sizeBytes, bytesADay, hours }: Row): DiskTrend {
  const of = { disk, free_bytes: freeBytes, size_bytes: sizeBytes, days_left: null }
  if (bytesADay === null || hours < trendHours.least) {
    return { ...of, why: 'it has been measured for less than a day' }
  }
  if (bytesADay >= 0) return { ...of, why: 'it does not fill up' }
  return { ...of, days_left: Math.floor(freeBytes / -bytesADay), why: null }
}

/** A disk with fewer days left than this is a fault: time to act, in days. */
const fewDays = 14

/** A sentence on each disk that is nearly full. */
export const roomFaults = (trends: readonly DiskTrend[]): string[] =>
  trends.flatMap(({ disk, days_left: days }) =>
    days !== null && days < fewDays
      ? [
          `the disk of the ${disk} is full in ${days} days at the pace of the last week; free some space`,
        ]
      : [],
  )
