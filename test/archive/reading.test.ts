import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import {
  copyFileSync,
  cpSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { manifestPath } from '../../src/archive/layout.ts'
import { FolderPlace } from '../../src/archive/places/folder.ts'
import type { Content, Place } from '../../src/archive/places/place.ts'
import {
  type ArchivedRow,
  toArchivedJob,
  toEventRow,
} from '../../src/archive/read/archived-rows.ts'
import {
  type ArchiveQuery,
  ArchiveReading,
  type ReadBounds,
} from '../../src/archive/read/reading.ts'
import { fromMicros, toMicros } from '../../src/core/time.ts'
import {
  type ArchiveKind,
  type ArchiveType,
  archiveColumns,
} from '../../src/store/archive/columns.ts'
import { toDay } from '../../src/store/archive/days.ts'
import { freshFolder } from '../support/processes.ts'
import { runs } from '../support/wild.ts'
import { hourEvents } from './hours-fixture.ts'
import { MemoryDisk, MemoryPlace } from './memory-place.ts'
import { dayAt, duck } from './support.ts'
import { eventRow, type GivenRow, jobRow, writeDay } from './written-day.ts'

/* What the archive gives back, of what was written. */

const ddl = readFileSync(new URL('../../sql/archive/duckdb.sql', import.meta.url), 'utf8')
const memory = () => new MemoryPlace(new MemoryDisk())

async function read(place: Place, query: ArchiveQuery, bounds: ReadBounds = {}) {
  const reading = new ArchiveReading(place, query, bounds)
  const rows: ArchivedRow[] = []
  for await (const batch of reading.batches()) {
    assert.ok(batch.length > 0)
    rows.push(...batch)
  }
  return { rows, reading }
}

const idsOf = (rows: readonly ArchivedRow[], column = 'job_id') =>
  rows.map((row) => Number(String(row[column]).slice(-12)))

/** A place that counts what is read of it, by name. */
function counted(place: Place) {
  const bytes = new Map<string, number>()
  const counting = (name: string, content: Content): Content => ({
    bytes: content.bytes,
    async *chunks(range) {
      for await (const chunk of content.chunks(range)) {
        bytes.set(name, (bytes.get(name) ?? 0) + chunk.byteLength)
        yield chunk
      }
    },
  })
  const counter: Place = Object.create(place, {
    read: {
      value: async (name: string) => {
        const content = await place.read(name)
        return content && counting(name, content)
      },
    },
    list: { value: (prefix: string) => place.list(prefix) },
    check: { value: (use: 'read') => place.check(use) },
  })
  return {
    place: counter,
    bytes,
    files: () => [...bytes.keys()].filter((n) => n.endsWith('.parquet')),
  }
}

/* Property: what is written is what is read, here and by DuckDB. */

const text = fc.oneof(
  fc.constantFrom('', '\ufeffmark', '\ufeff', '😀', 'ﬀ', 'é', '\u0001', 'a\u0301', '"\\', '\r\n'),
  fc.string({ unit: 'grapheme', maxLength: 40 }),
  fc.string({ unit: 'binary', maxLength: 20 }).map((s) => s.toWellFormed().replaceAll('\0', '')),
)
const farTime = fc.bigInt(0n, 253_402_300_799_999_999n)
const generators: Record<ArchiveType, fc.Arbitrary<GivenRow[string]>> = {
  time: fc.oneof(farTime, fc.constantFrom(0n, 1n, 253_402_300_799_999_999n)),
  id: fc.uuid(),
  text,
  json: fc.json().map((json) => json.toWellFormed()),
  int: fc.oneof(
    fc.bigInt(-(2n ** 63n), 2n ** 63n - 1n),
    fc.constantFrom(-(2n ** 63n), 2n ** 63n - 1n, 0n, 2n ** 53n + 1n),
  ),
  float: fc.double({ noNaN: true, noDefaultInfinity: true }),
  bool: fc.boolean(),
}

const day = dayAt(13)
const dayStart = toMicros(day.from)

function rowOf(kind: ArchiveKind): fc.Arbitrary<GivenRow> {
  const id = kind === 'event' ? 'entity_id' : `${kind}_id`
  const record = Object.fromEntries(
    archiveColumns[kind].map(({ name, type }) => {
      if (name === 'event_at' || name === id) return [name, generators[type]]
      if (name === 'moved_to') return [name, fc.constant(null)]
      return [name, fc.option(generators[type], { freq: 4 })]
    }),
  )
  const time = kind === 'event' ? 'event_at' : 'ended_at'
  const ofDay = fc.bigInt(0n, 86_399_999_999n).map((us) => dayStart + us)
  const ended = kind === 'event' ? ofDay : fc.option(ofDay, { freq: 4 })
  return fc.record({ ...record, [time]: ended })
}

const rowsOf = (kind: ArchiveKind) =>
  fc
    .uniqueArray(rowOf(kind), {
      ...{ minLength: 1, maxLength: 40 },
      selector: (row) => row[kind === 'event' ? 'entity_id' : `${kind}_id`],
    })
    .map((rows) => inOrder(kind, rows))

/** As the archiver has them: those without a time first. */
function inOrder(kind: ArchiveKind, rows: GivenRow[]): GivenRow[] {
  const name = kind === 'event' ? 'event_at' : 'ended_at'
  return rows.sort((a, b) => Number(((a[name] ?? -1n) as bigint) - ((b[name] ?? -1n) as bigint)))
}

/** What is expected of a reading. */
function expectedOf(kind: ArchiveKind, row: GivenRow): ArchivedRow {
  return Object.fromEntries(
    archiveColumns[kind].map(({ name, type }) => {
      const value = row[name] ?? null
      if (value === null) return [name, null]
      if (type === 'time') return [name, fromMicros(value as bigint)]
      const isExact = type === 'int' && Number.isSafeInteger(Number(value))
      return [name, isExact ? Number(value) : value]
    }),
  )
}

/** The same rows by DuckDB, by the file. */
async function byDuck(dir: string, kind: ArchiveKind): Promise<ArchivedRow[]> {
  const columns = archiveColumns[kind].map(({ name, type }) => {
    if (type === 'time') return `epoch_us("${name}")::varchar as "${name}"`
    if (type === 'int') return `"${name}"::varchar as "${name}"`
    // Its package removes a byte order mark from a text.
    return isText(type) ? `hex("${name}") as "${name}"` : `"${name}"`
  })
  const found = await duck(
    `select ${columns.join(', ')} from read_parquet('${dir}/${kind}/*/*/*.parquet', file_row_number = true) order by file_row_number`,
  )
  return found.map((row) =>
    expectedOf(
      kind,
      Object.fromEntries(
        archiveColumns[kind].map(({ name, type }) => [name, parsed(type, row[name])]),
      ),
    ),
  )
}

const isText = (type: ArchiveType) => type === 'id' || type === 'text' || type === 'json'

function parsed(type: ArchiveType, value: unknown): GivenRow[string] {
  if (value === null) return null
  if (isText(type)) return Buffer.from(String(value), 'hex').toString('utf8')
  return type === 'time' || type === 'int' ? BigInt(String(value)) : (value as number | boolean)
}

describe('what is written is what is read', () => {
  for (const kind of ['event', 'job', 'subjob'] as const) {
    test(`${kind}: all columns, by this reader and by DuckDB`, async () => {
      await fc.assert(
        fc.asyncProperty(rowsOf(kind), async (rows) => {
          const dir = freshFolder()
          const place = new FolderPlace(dir)
          await writeDay(place, day, [{ kind, rows }])
          const expected = rows.map((row) => expectedOf(kind, row))
          assert.deepEqual((await read(place, { kind })).rows, expected)
          assert.deepEqual(await byDuck(dir, kind), expected)
          rmSync(dir, { recursive: true })
        }),
        { numRuns: runs(15), endOnFailure: true },
      )
    })
  }

  test('over two row groups, of which only what can match is fetched', async () => {
    const disk = memory()
    const rows = Array.from({ length: 103_000 }, (_, i) =>
      eventRow(day, 0, {
        event_at: dayStart + BigInt(i),
        idempotency_key: `d0000000-0000-4000-8000-${String(i).padStart(12, '0')}`,
        entity_id: `b0000000-0000-4000-8000-${String(i % 7).padStart(12, '0')}`,
        metadata: JSON.stringify(createHash('md5').update(String(i)).digest('hex')),
      }),
    )
    await writeDay(disk, day, [{ kind: 'event', rows }])
    const all = await read(disk, { kind: 'event' })
    assert.equal(all.rows.length, rows.length)
    assert.ok(all.rows.every((row, i) => row.metadata === rows[i]?.metadata))

    const { place, bytes } = counted(disk)
    const some = await read(place, {
      kind: 'event',
      ids: ['B0000000-0000-4000-8000-000000000003'],
      from: fromMicros(dayStart + 102_000n),
      to: fromMicros(dayStart + 102_030n),
    })
    const expected = Array.from({ length: 30 }, (_, i) => 102_000 + i).filter((i) => i % 7 === 3)
    assert.deepEqual(idsOf(some.rows, 'idempotency_key'), expected)
    const [[name, fetched] = ['', 0]] = [...bytes].filter(([path]) => path.endsWith('.parquet'))
    const { bytes: size } = (await disk.stat(name)) ?? { bytes: 0 }
    assert.ok(size > 2 ** 20 && fetched < 0.4 * size, `${fetched} of ${size} bytes were fetched`)
  })
})

describe('a reading', () => {
  test('opens only days, files and row groups that can match', async () => {
    const disk = memory()
    for (const d of [11, 12, 13]) {
      const rows = Array.from({ length: 10 }, (_, i) => eventRow(dayAt(d), i))
      await writeDay(disk, dayAt(d), [
        { kind: 'event', rows, maxRows: 5 },
        { kind: 'event', rows: [eventRow(dayAt(d), 5000)] },
        { kind: 'job', rows: [jobRow(dayAt(d), 1)] },
      ])
    }
    await writeDay(disk, dayAt(13, 'fab2'), [
      { kind: 'event', rows: [eventRow(dayAt(13, 'fab2'), 5)] },
    ])
    const { place, files } = counted(disk)
    const from = '2026-03-13T00:00:05.000001Z'
    const { rows, reading } = await read(place, {
      ...{ kind: 'event', sites: ['fab1'], from, to: '2026-03-13T00:00:08.000001Z' },
    })
    assert.deepEqual(idsOf(rows, 'entity_id'), [5, 6, 7])
    assert.equal(reading.files, 1)
    assert.equal(files().length, 1)
    assert.match(files()[0] ?? '', /^event\/site=fab1\/dt=2026-03-13\//)
  })

  test('gives the last version of a job, and no row of a day that it has left', async () => {
    const place = memory()
    const [one, two, three] = [jobRow(day, 1), jobRow(day, 2), jobRow(day, 3)]
    await writeDay(place, day, [{ kind: 'job', rows: [one, two, three] }])
    const changed = { ...one, version: 2, status: 'failed' }
    const moved = {
      job_id: two.job_id ?? null,
      site_id: 'fab1',
      version: 2,
      moved_to: 'site=fab1/dt=2026-03-14',
    }
    await writeDay(place, day, [{ kind: 'job', rows: [moved, changed] }])
    const next = dayAt(14)
    await writeDay(place, next, [{ kind: 'job', rows: [jobRow(next, 2, { version: 2 })] }])
    const { rows } = await read(place, { kind: 'job' })
    assert.deepEqual(
      rows.map(({ version, status, ended_at }) => [version, status, String(ended_at).slice(8, 10)]),
      [
        [1, 'succeeded', '13'],
        [2, 'failed', '13'],
        [2, 'succeeded', '14'],
      ],
    )
    const bad = await read(place, { kind: 'job', statuses: ['succeeded'], order: 'desc' })
    assert.deepEqual(idsOf(bad.rows), [2, 3])
    assert.deepEqual(idsOf((await read(place, { kind: 'job', keys: ['lot 1'] })).rows), [1])
  })

  test('finds rows by app, key, id and the state that an event stands for', async () => {
    const place = memory()
    const rows = [
      eventRow(day, 1),
      eventRow(day, 2, { kind: 'started', app_name: 'ｅtch' }),
      eventRow(day, 3, { status: 'failed', business_key: '😀' }),
      eventRow(day, 4, { kind: 'queued', business_key: null }),
    ]
    await writeDay(place, day, [{ kind: 'event', rows }])
    const found = async (query: Partial<ArchiveQuery>) =>
      idsOf((await read(place, { kind: 'event', ...query })).rows, 'entity_id')
    assert.deepEqual(await found({ statuses: ['succeeded'] }), [1])
    assert.deepEqual(await found({ statuses: ['running', 'queued'] }), [2, 4])
    assert.deepEqual(await found({ apps: ['ｅtch'] }), [2])
    assert.deepEqual(await found({ keys: ['😀', 'lot 1'] }), [1, 3])
    assert.deepEqual(await found({ keys: [] }), [])
    assert.deepEqual(await found({ apps: ['Etch'] }), [])
  })

  test('of jobs goes by the end, or the last event of one that never ended', async () => {
    const place = memory()
    const open = jobRow(day, 3, { ended_at: null, status: 'running' })
    await writeDay(place, day, [{ kind: 'job', rows: [open, jobRow(day, 1), jobRow(day, 7)] }])
    const { rows } = await read(place, {
      ...{ kind: 'job', from: '2026-03-13T00:00:02.000000Z', to: '2026-03-13T00:00:07.000001Z' },
    })
    assert.deepEqual(idsOf(rows), [3])
  })

  test('ends at a bound and goes on from there, each row once, in both orders', async () => {
    const place = memory()
    for (const site of ['fab1', 'fab2']) {
      for (const d of [10, 11, 12]) {
        const rows = [1, 2].map((n) => jobRow(dayAt(d, site), n, { job_key: `${site} ${d} ${n}` }))
        await writeDay(place, dayAt(d, site), [{ kind: 'job', rows }])
      }
    }
    for (const order of ['asc', 'desc'] as const) {
      const whole = (await read(place, { kind: 'job', order })).rows.map((row) => row.job_key)
      assert.equal(whole.length, 12)
      for (const bounds of [{ maxFiles: 1 }, { maxFiles: 2 }, { maxMs: 0 }]) {
        const paged: unknown[] = []
        let resume: ArchiveReading['stoppedAt']
        let pages = 0
        do {
          const { rows, reading } = await read(place, { kind: 'job', order, resume }, bounds)
          paged.push(...rows.map((row) => row.job_key))
          resume = reading.stoppedAt
          pages++
        } while (resume && pages < 20)
        assert.deepEqual(paged, whole)
        assert.equal(pages, bounds.maxFiles === 2 ? 3 : 6)
      }
    }
  })

  test('ends when it is aborted, and leaves the rest', async () => {
    const place = memory()
    for (const d of [12, 13])
      await writeDay(place, dayAt(d), [{ kind: 'job', rows: [jobRow(dayAt(d), 1)] }])
    const ending = new AbortController()
    const reading = new ArchiveReading(place, { kind: 'job' }, { signal: ending.signal })
    const batches = reading.batches()
    await batches.next()
    ending.abort(new Error('enough'))
    await assert.rejects(batches.next(), /enough/)
  })

  test('reads exactly the days that are named', async () => {
    const place = memory()
    for (const d of [10, 11, 12])
      await writeDay(place, dayAt(d), [{ kind: 'job', rows: [jobRow(dayAt(d), d)] }])
    const days = [dayAt(12), dayAt(10), dayAt(10), dayAt(20)]
    assert.deepEqual(idsOf((await read(place, { kind: 'job', days })).rows), [10, 12])
  })

  for (const site of ['../../etc', 'a/b', '..', '']) {
    test(`never leaves the place: the site ${JSON.stringify(site)} is refused`, async () => {
      await assert.rejects(read(memory(), { kind: 'job', sites: [site] }), /is not a site id/)
    })
  }
})

describe('what cannot be read', () => {
  /** Three days; the middle one has two files of events and two of jobs. */
  async function damagedArchive() {
    const dir = freshFolder()
    const place = new FolderPlace(dir)
    for (const d of [12, 13, 14]) {
      const on = dayAt(d)
      await writeDay(place, on, [
        { kind: 'event', rows: [eventRow(on, d)] },
        { kind: 'job', rows: [jobRow(on, d)] },
      ])
    }
    await writeDay(place, day, [
      { kind: 'event', rows: [eventRow(day, 100)] },
      { kind: 'job', rows: [jobRow(day, 100)] },
    ])
    const folder = (kind: string) => join(dir, kind, 'site=fab1/dt=2026-03-13')
    const files = (kind: string) =>
      readdirSync(folder(kind))
        .map((name) => join(folder(kind), name))
        .sort()
    return { dir, place, files }
  }

  const damages: [string, (file: string) => void, RegExp][] = [
    [
      'a file that is torn',
      (file) => truncateSync(file, 500),
      /has 500 bytes, not the \d+ of its manifest/,
    ],
    ['a file that is missing', (file) => rmSync(file), /is missing, although a manifest names it/],
    ['a file that is empty', (file) => writeFileSync(file, ''), /has 0 bytes, not/],
    [
      'a file of noise',
      (file) => writeFileSync(file, Buffer.alloc(readFileSync(file).byteLength, 7)),
      /cannot be read: parquet file invalid/,
    ],
    [
      'a file whose pages are damaged',
      (file) => writeFileSync(file, readFileSync(file).fill(255, 4, 900)),
      /cannot be read: /,
    ],
  ]

  for (const [what, damage, why] of damages) {
    test(`${what}: is told by name, and all else is read`, async () => {
      const { place, files } = await damagedArchive()
      const [event = '', job = ''] = [files('event')[0], files('job')[0]]
      damage(event)
      damage(job)
      const events = await read(place, { kind: 'event' })
      assert.deepEqual(idsOf(events.rows, 'entity_id'), [12, 100, 14])
      const [missing, ...more] = events.reading.missing
      assert.deepEqual(more, [])
      assert.match(missing?.why ?? '', why)
      assert.match(missing?.why ?? '', /^event\/site=fab1\/dt=2026-03-13\/\S+\.parquet /)
      assert.deepEqual(
        [missing?.site, missing?.from, missing?.to],
        ['fab1', '2026-03-13T00:00:13.000001Z', '2026-03-13T00:00:13.000002Z'],
      )
      const jobs = await read(place, { kind: 'job' })
      const whole = { site: 'fab1', from: dayAt(13).from, to: dayAt(14).from }
      assert.deepEqual(
        jobs.reading.missing.map(({ why: _, ...span }) => span),
        [whole],
      )
      assert.deepEqual(
        idsOf(jobs.rows).filter((n) => n !== 100),
        [12, 14],
      )
    })
  }

  test('a manifest of a newer version, one that is torn, and one of another day', async () => {
    const { dir, place } = await damagedArchive()
    const path = join(dir, manifestPath(day, 2))
    const text = readFileSync(path, 'utf8')
    const whys = [
      [
        text.replace('"version": 2', '"version": 9'),
        /00002\.json was written by a newer version of wafermon/,
      ],
      [text.slice(0, 300), /00002\.json is not JSON/],
      [text.replaceAll('2026-03-13', '2026-03-14'), /00002\.json belongs to fab1 2026-03-14/],
      ['', /00002\.json is not JSON/],
    ] as const
    for (const [damaged, why] of whys) {
      writeFileSync(path, damaged)
      const { rows, reading } = await read(place, { kind: 'job' })
      assert.deepEqual(idsOf(rows), [12, 14])
      assert.equal(reading.missing.length, 1)
      assert.match(reading.missing[0]?.why ?? '', why)
    }
  })

  test('a file of another table under a name of ours', async () => {
    const { files, place, dir } = await damagedArchive()
    const [event = '', job = ''] = [files('event')[0], files('job')[0]]
    copyFileSync(job, event)
    const path = join(dir, manifestPath(day, 2))
    const size = readFileSync(job).byteLength
    const manifest = JSON.parse(readFileSync(path, 'utf8'))
    const [{ bytes }] = manifest.files
    writeFileSync(path, readFileSync(path, 'utf8').replace(`"bytes": ${bytes}`, `"bytes": ${size}`))
    const { rows, reading } = await read(place, { kind: 'event' })
    assert.deepEqual(idsOf(rows, 'entity_id'), [12, 100, 14])
    assert.match(reading.missing[0]?.why ?? '', /has no column event_at/)
  })

  test('a day whose files were replaced since it was listed is read again', async () => {
    const disk = new MemoryDisk()
    const place = new MemoryPlace(disk)
    await writeDay(place, day, [{ kind: 'job', rows: [jobRow(day, 1)] }])
    await writeDay(place, day, [{ kind: 'job', rows: [jobRow(day, 2)] }])
    const old = [...disk.named.keys()].filter((name) => name.endsWith('.parquet'))
    let isReplaced = false
    const racing: Place = Object.create(place, {
      check: { value: async () => {} },
      list: { value: (prefix: string) => place.list(prefix) },
      read: {
        value: async (name: string) => {
          if (name.endsWith('.parquet') && !isReplaced) {
            isReplaced = true
            const rows = [jobRow(day, 1), jobRow(day, 2)]
            await writeDay(place, day, [{ kind: 'job', rows }], { replaces: true })
            for (const file of old) await place.remove(file)
          }
          return place.read(name)
        },
      },
    })
    const { rows, reading } = await read(racing, { kind: 'job' })
    assert.deepEqual(idsOf(rows), [1, 2])
    assert.deepEqual(reading.missing, [])
  })

  test('a place that is away ends the reading', async () => {
    const disk = new MemoryDisk()
    const place = new MemoryPlace(disk)
    await writeDay(place, day, [{ kind: 'job', rows: [jobRow(day, 1)] }])
    disk.gone = true
    await assert.rejects(read(place, { kind: 'job' }), /there is no memory/)
    await assert.rejects(read(new FolderPlace('/nowhere/x'), { kind: 'job' }), /there is no folder/)
  })
})

describe('rows as the store gives them', () => {
  test('hours of the version before are read: events once, jobs once', async () => {
    const dir = freshFolder()
    cpSync(new URL('hours', import.meta.url), dir, { recursive: true })
    const place = new FolderPlace(dir)
    const events = await read(place, { kind: 'event' })
    const keys = events.rows.map((row) => toEventRow(row).idempotencyKey).sort()
    assert.deepEqual(
      keys,
      hourEvents()
        .map((event) => event.idempotency_key)
        .sort(),
    )
    const jobs = await read(place, { kind: 'job' })
    assert.equal(new Set(idsOf(jobs.rows)).size, 8)
    assert.deepEqual([...new Set(jobs.rows.map((row) => toArchivedJob('job', row).version))], [0])
    const one = { from: '2026-03-01T14:00:00.000000Z', to: '2026-03-01T14:00:01.000000Z' }
    assert.equal((await read(place, { kind: 'event', ...one })).rows.length, 1)
    const byDuckDb = await duck(
      ddl,
      `select count(*)::int as n from archived_hours_event('${dir}')`,
    )
    assert.deepEqual(byDuckDb, [{ n: 10 }])
    assert.deepEqual([...events.reading.missing, ...jobs.reading.missing], [])
  })

  test('a day of another year is found by its name', async () => {
    const place = memory()
    const far = toDay('fab1', '2019-12-31T00:00:00.000000Z')
    await writeDay(place, far, [{ kind: 'job', rows: [jobRow(far, 1)] }])
    const query = { kind: 'job', from: far.from, to: far.to } as const
    assert.equal((await read(place, query)).rows.length, 1)
    assert.equal((await read(place, { ...query, sites: ['fab1'] })).rows.length, 1)
    assert.equal((await read(place, { ...query, sites: ['fab2'] })).rows.length, 0)
  })
})
