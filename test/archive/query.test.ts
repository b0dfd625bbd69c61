import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { before, describe, test } from 'node:test'
import { FolderPlace } from '../../src/archive/places/folder.ts'
import { archiveColumns } from '../../src/store/archive/columns.ts'
import { parseCsv } from '../support/csv.ts'
import { freshFolder, program } from '../support/processes.ts'
import { dayAt } from './support.ts'
import { eventRow, jobRow, writeDay } from './written-day.ts'

/* `wafermon archive query`, as a person or a script uses it. */

function query(...args: string[]) {
  const { DATABASE_URL: _, ARCHIVE_DIR: __, ...env } = process.env
  const given = { env, encoding: 'utf8' as const, maxBuffer: 2 ** 28 }
  return spawnSync(process.execPath, [program, 'archive', 'query', ...args], given)
}

const dir = freshFolder()
const at = ['--dir', dir]

before(async () => {
  const place = new FolderPlace(dir)
  for (const [site, d] of [
    ['fab1', 12],
    ['fab1', 13],
    ['fab2', 13],
  ] as const) {
    const day = dayAt(d, site)
    await writeDay(place, day, [
      {
        kind: 'job',
        rows: [
          jobRow(day, 1, { job_key: `=Lé😀 "${d}"`, metrics: '{"cd": 12345678901234567890}' }),
          jobRow(day, 2, {
            status: 'failed',
            app_name: 'litho',
            duration_s: 5.501602788222954,
            last_error: 'no\nvacuum',
            event_count: 2n ** 60n,
          }),
        ],
      },
      { kind: 'event', rows: [eventRow(day, 1), eventRow(day, 2, { kind: 'started' })] },
      { kind: 'subjob', rows: [jobRow(day, 7, { subjob_id: jobRow(day, 7).job_id ?? null })] },
    ])
  }
})

const lines = (text: string) => text.split('\n').filter((line) => line !== '')
const objects = (text: string) => lines(text).map((line) => JSON.parse(line))

describe('archive query', () => {
  test('prints a table, its names first and the count last', () => {
    const { status, stdout, stderr } = query(...at, '--site', 'fab1')
    assert.deepEqual([status, stderr], [0, ''])
    const [head, first, second, ...more] = lines(stdout)
    assert.match(
      head ?? '',
      /^ended_at +job_id +site_id +app_name +job_key +status +duration_s +last_error$/,
    )
    assert.match(
      first ?? '',
      /^2026-03-12T00:00:01\.000001Z {2}b0000000-\S+0001 {2}fab1 +etch +=Lé😀 "12" +succeeded +0$/,
    )
    assert.match(second ?? '', /failed +5\.502 +no\ufffdvacuum$/)
    assert.equal(more.at(-1), '4 jobs')
  })

  test('says when the archive has no day of the site or the time', () => {
    for (const args of [
      ['--site', 'fab9'],
      ['--from', '2027-01-01'],
    ]) {
      const { status, stdout, stderr } = query(...at, ...args)
      assert.deepEqual([status, stdout], [0, '0 jobs\n'])
      assert.match(stderr, /^the archive has no day of these sites and this span; /)
    }
  })

  test('prints a row a line as JSON, with every digit, and all of them', () => {
    const { stdout } = query(
      ...at,
      '--json',
      '--from',
      '2026-03-13',
      '--to',
      '2026-03-14',
      '--site',
      'fab1',
      'fab2',
    )
    const rows = objects(stdout)
    assert.deepEqual(
      rows.map(({ site_id, job_id }) => [site_id, job_id.slice(-1)]),
      [
        ['fab1', '1'],
        ['fab1', '2'],
        ['fab2', '1'],
        ['fab2', '2'],
      ],
    )
    assert.match(stdout, /"metrics":\{"cd": 12345678901234567890\}/)
    assert.match(stdout, /"event_count":1152921504606846976/)
    assert.deepEqual(rows[0].metadata, {})
    assert.equal(rows[0].parent_id, undefined)
  })

  test('prints all columns as CSV that starts no formula', () => {
    const { stdout } = query(...at, '--csv', '--status', 'succeeded', '--site', 'fab1')
    const [head, ...rows] = parseCsv(stdout)
    assert.deepEqual(
      head,
      archiveColumns.job.map(({ name }) => name),
    )
    assert.deepEqual(
      rows.map((row) => row[head?.indexOf('job_key') ?? 0]),
      [`'=Lé😀 "12"`, `'=Lé😀 "13"`],
    )
    assert.deepEqual(parseCsv(query(...at, '--csv', '--key', 'nothing').stdout), [head])
  })

  test('finds by app, key, state, id, kind and time', () => {
    const found = (...args: string[]) => objects(query(...at, '--json', ...args).stdout)
    assert.equal(found('--app', 'litho').length, 3)
    assert.equal(found('--key', '=Lé😀 "12"').length, 1)
    assert.equal(found('--status', 'failed', 'queued').length, 3)
    const id = String(jobRow(dayAt(13), 2).job_id)
    assert.equal(found('--id', id.toUpperCase()).length, 3)
    assert.equal(found('--kind', 'subjob').length, 3)
    assert.deepEqual(
      found('--kind', 'event', '--status', 'running', '--desc').map(({ event_at }) =>
        event_at.slice(0, 10),
      ),
      ['2026-03-13', '2026-03-13', '2026-03-12'],
    )
    const from = '2026-03-13T02:00:02+02:00'
    assert.equal(found('--kind', 'event', '--from', from, '--to', '2026-03-13T00:00:03Z').length, 2)
  })

  test('names what cannot be read, prints the rest, and ends with 1', async () => {
    const broken = freshFolder()
    const place = new FolderPlace(broken)
    for (const d of [12, 13])
      await writeDay(place, dayAt(d), [{ kind: 'job', rows: [jobRow(dayAt(d), 1)] }])
    rmSync(join(broken, 'job/site=fab1/dt=2026-03-12'), { recursive: true })
    const { status, stdout, stderr } = query('--dir', broken, '--json')
    assert.equal(status, 1)
    assert.deepEqual(
      objects(stdout).map(({ ended_at }) => ended_at),
      ['2026-03-13T00:00:01.000001Z'],
    )
    assert.match(
      stderr,
      /^MISSING {2}fab1 {2}2026-03-12T00:00:00\.000000Z to 2026-03-13T00:00:00\.000000Z: job\/site=fab1\/dt=2026-03-12\/\S+ is missing, although a manifest names it\n$/,
    )
  })

  const empty = freshFolder()
  const noArchive = freshFolder()
  mkdirSync(join(noArchive, 'photos'))
  writeFileSync(join(noArchive, 'photos/cat.jpg'), 'meow')
  const wrong: [string, string[], RegExp][] = [
    [
      'an empty folder',
      ['--dir', empty],
      /there is no archive in .*; choose its folder with --dir/,
    ],
    ['a folder that is no archive', ['--dir', noArchive], /there is no archive in/],
    [
      'a folder that is not there',
      ['--dir', '/nowhere/x'],
      /there is no folder \/nowhere\/x; mount it/,
    ],
    [
      'a day that does not exist',
      [...at, '--from', '2026-02-29'],
      /--from.*day such as 2026-03-01/,
    ],
    ['a time without an offset', [...at, '--to', '2026-03-01T12:00:00'], /--to.*RFC 3339/],
    [
      'nothing between the times',
      [...at, '--from', '2026-03-02', '--to', '2026-03-02'],
      /--to: .* is not after --from/,
    ],
    ['a site that leaves the archive', [...at, '--site', '../../etc'], /--site.*must be/],
    ['an id that is none', [...at, '--id', '12'], /--id.*UUID/],
    ['an unknown state', [...at, '--status', 'done'], /--status/],
    ['an unknown kind', [...at, '--kind', 'lot'], /--kind/],
    ['two formats', [...at, '--csv', '--json'], /'--csv' cannot be used with option '--json'/],
    ['a bucket without a name', ['--dir', 's3:///x'], /--dir|S3_BUCKET/],
  ]
  for (const [what, args, message] of wrong) {
    test(`refuses ${what} in a sentence`, () => {
      const { status, stdout, stderr } = query(...args)
      assert.deepEqual([status, stdout], [2, ''])
      assert.match(stderr, message)
      assert.doesNotMatch(stderr, /\n {4}at /)
    })
  }
})
