import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { noteDatabaseRoom, readTrends } from '../../src/store/disk-room.ts'
import { archived, closedDay, dayAt, eventAt, run } from '../archive/support.ts'
import { freshFolder, launch } from '../support/processes.ts'

async function status(url: string, ...flags: string[]) {
  const tool = launch(['db', 'status', ...flags], { DATABASE_URL: url })
  await tool.ended
  return tool.out()
}

test('wafermon db status tells what the archive lacks, what is damaged, and how full the disks get', async (t) => {
  const { store, url } = await closedDay(t, [eventAt(1), eventAt(2, {}, 12)])
  await archived(store, freshFolder(), dayAt(13))
  await run(
    store,
    `update archive_file set problem = 'is missing', checked_at = now() where kind = 'job'`,
  )
  await run(
    store,
    `insert into disk_room select 'archive', now() - make_interval(hours => n), 1000000 + n * 100000, 9000000
     from generate_series(0, 30) n`,
  )
  const { archive, disks, faults } = JSON.parse(await status(url, '--json'))
  assert.deepEqual(archive, {
    ...{ files: 2, failing_files: 1, oldest_waiting_day: '2026-03-12', waiting_s: 25 * 3600 },
    ...{ late_events_waiting: 0, changed_jobs_waiting: 1 },
  })
  assert.deepEqual(disks, [
    { disk: 'archive', free_bytes: 1_000_000, size_bytes: 9_000_000, days_left: 0, why: null },
  ])
  const text = await status(url)
  for (const fault of [
    '2026-03-12 is not archived; is an archiver running? Its health says why',
    'archived files do not read back: 1; restore them from a copy (wafermon archive verify --deep names them)',
    'the disk of the archive is full in 0 days at the pace of the last week; free some space',
  ]) {
    assert.ok(faults.includes(fault), fault)
    assert.ok(text.includes(fault), fault)
  }
  assert.match(
    text,
    /^archive {9}2 files, 1 failing; waits since 2026-03-12; 0 late events and 1 changed jobs wait$/m,
  )
  assert.match(text, /^disk archive {4}0\.0 GB free, 0 days left$/m)
})

test('the disk of the database is measured where its folder is on this machine, and only there', async (t) => {
  const { store } = await closedDay(t, [])
  const [row] = await run(store, `select current_setting('data_directory') as folder`)
  const mayRead = existsSync(join(String(row?.folder), 'postmaster.pid'))
  await noteDatabaseRoom(store)
  const [trend, ...others] = await readTrends(store)
  assert.deepEqual(others, [])
  assert.equal(trend?.disk, mayRead ? 'database' : undefined)
  if (trend) assert.ok(trend.free_bytes > 0 && trend.free_bytes < trend.size_bytes)
})
