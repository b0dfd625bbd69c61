import assert from 'node:assert/strict'
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { open as openFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, type TestContext, test } from 'node:test'
import { gunzipSync } from 'node:zlib'
import { DuckDBInstance } from '@duckdb/node-api'
import { pino } from 'pino'
import { delimiters } from '../../src/core/csv.ts'
import { Outgoing } from '../../src/core/delivery.ts'
import type { Event } from '../../src/core/event.ts'
import { openCsv } from '../../src/sinks/csv/open.ts'
import { settings as csvSettings } from '../../src/sinks/csv/settings.ts'
import { Folder } from '../../src/sinks/event-files/folder.ts'
import { periodOf } from '../../src/sinks/event-files/names.ts'
import { openJson } from '../../src/sinks/json/open.ts'
import { settings as jsonSettings } from '../../src/sinks/json/settings.ts'
import { diskOf } from '../support/full-disk.ts'
import { freshFolder, until } from '../support/processes.ts'
import { wholeEvent } from '../support/whole-event.ts'

const { signal } = new AbortController()
const plenty = async () => ({ free: 2 ** 40, size: 2 ** 40 })
const open = { csv: openCsv, json: openJson }

type Options = { dir?: string; state?: string; config?: object; max_bytes?: number }

function openFiles(t: TestContext, kind: 'csv' | 'json', options: Options = {}) {
  const { dir = join(freshFolder(), 'events'), state, config = {}, max_bytes } = options
  const lines: string[] = []
  const log = pino({}, { write: (line) => lines.push(line) })
  const schema = kind === 'csv' ? csvSettings : jsonSettings
  const settings = {
    ...schema.parse({ output_dir: dir, ...config }),
    ...(max_bytes ? { max_bytes } : {}),
  }
  const sink = open[kind](settings as never, { log, state }, plenty)
  t.after(() => sink.close?.())
  return {
    dir,
    sink,
    lines,
    list: () =>
      readdirSync(dir)
        .filter((name) => !name.startsWith('.'))
        .sort(),
  }
}

const sent = (...seqs: number[]) =>
  seqs.map((seq) => new Outgoing(seq, JSON.stringify(wholeEvent(seq))))

async function deliver(
  sink: { deliver: ReturnType<typeof openCsv>['deliver'] },
  ...seqs: number[]
) {
  const answer = await sink.deliver(sent(...seqs), signal)
  assert.equal(answer.kind, 'judged', JSON.stringify(answer))
  return (answer as { state?: string }).state
}

const reasonOf = (answer: Awaited<ReturnType<ReturnType<typeof openCsv>['deliver']>>) =>
  answer.kind === 'failed' ? answer.reason : answer.kind

async function query(sql: string): Promise<Record<string, unknown>[]> {
  const connection = await (await DuckDBInstance.create()).connect()
  const rows = await (await connection.runAndReadAll(sql)).getRowObjects()
  connection.closeSync()
  return rows as Record<string, unknown>[]
}

const hostile: Partial<Event['event']>['metadata'] = {
  'name "quoted", with\nlines': 'a\r\nb',
  formula: '=cmd|calc',
  long: 'x'.repeat(64_000),
  unicode: 'é 𝒳 \u2028 \ufeff',
  '[ ] " { }': { 'a.b': [1, null, true] },
}

describe('files of events', () => {
  for (const delimiter of delimiters) {
    test(`read back by DuckDB as they were, with ${JSON.stringify(delimiter)} between fields`, async (t) => {
      const { dir, sink, list } = openFiles(t, 'csv', { config: { delimiter } })
      const event = wholeEvent(1, { metadata: hostile, kind: 'error' })
      event.entity.business_key = `=1+1${delimiter}"x"\r\n-2`
      await sink.deliver([new Outgoing(1, JSON.stringify(event)), ...sent(2)], signal)
      const [row, ...more] = await query(
        `select * from read_csv('${join(dir, list()[0] ?? '')}', delim = '${delimiter}', header = true, all_varchar = true, max_line_size = 1000000)`,
      )
      assert.equal(more.length, 1)
      assert.equal(Object.keys(row ?? {}).length, 19)
      assert.equal(row?.business_key, `'=1+1${delimiter}"x"\r'\n'-2`)
      assert.deepEqual(JSON.parse(String(row?.metadata_json)), hostile)
      assert.equal(row?.source_seq, '1')
    })
  }

  test('have the columns of the earlier system, and the number of the event', async (t) => {
    const { dir, sink, list } = openFiles(t, 'csv')
    await deliver(sink, 1)
    const [head] = readFileSync(join(dir, list()[0] ?? ''), 'utf8').split('\r\n')
    const names =
      'timestamp,idempotency_key,site_id,app_id,app_name,app_version,entity_type,entity_id,parent_id,business_key,sub_key,event_kind,status,duration_s,cpu_user_s,cpu_system_s,mem_max_mb,metadata_json,source_seq'
    assert.equal(head, names)
  })

  test('hold an event on one line of JSON, whatever lines it came on', async (t) => {
    const { dir, sink, list } = openFiles(t, 'json')
    const event = wholeEvent(1, { metadata: hostile })
    await sink.deliver([new Outgoing(1, JSON.stringify(event, null, 2)), ...sent(2)], signal)
    const lines = readFileSync(join(dir, list()[0] ?? ''), 'utf8').split('\n')
    assert.deepEqual([lines.length, JSON.parse(lines[0] ?? ''), lines[2]], [3, event, ''])
  })

  test('refuse what is not JSON or not finite by field, and keep the rest', async (t) => {
    for (const kind of ['csv', 'json'] as const) {
      const { sink } = openFiles(t, kind)
      const infinite = JSON.stringify(wholeEvent(2)).replace('1.5', '-1e999')
      const batch = [new Outgoing(1, '{"torn'), new Outgoing(2, infinite), ...sent(3)]
      const answer = await sink.deliver(batch, signal)
      const verdicts = answer.kind === 'judged' ? answer.verdicts : []
      const fields = verdicts.map((verdict) =>
        typeof verdict === 'string' ? verdict : verdict.field,
      )
      assert.deepEqual(fields, ['', 'event.metrics.duration_s', 'taken'])
    }
  })

  test('are not acknowledged before the disk has synced them', async (t) => {
    const { sink, dir, list } = openFiles(t, 'csv')
    const sample = await openFile('/dev/null')
    const handle = Object.getPrototypeOf(sample) as { datasync: () => Promise<void> }
    await sample.close()
    const { datasync } = handle
    t.after(() => Object.assign(handle, { datasync }))
    let written = ''
    handle.datasync = async () => {
      written = readFileSync(join(dir, list()[0] ?? ''), 'utf8')
      throw Object.assign(new Error('planted'), { code: 'EIO' })
    }
    const answer = await sink.deliver(sent(1), signal)
    assert.match(reasonOf(answer), /EIO/)
    assert.ok(written.includes(wholeEvent(1).idempotency_key), 'all is written before it is synced')
    Object.assign(handle, { datasync })
    await deliver(sink, 1)
    const rows = await query(`select source_seq from read_csv('${join(dir, list()[0] ?? '')}')`)
    assert.deepEqual(
      rows.map((row) => Number(row.source_seq)),
      [1],
    )
  })

  test('begin anew before they are too large, and are compressed by a name that is there whole', async (t) => {
    const { dir, sink, list } = openFiles(t, 'json', {
      max_bytes: 1500,
      config: { rotation: 'none', compression: true },
    })
    for (let seq = 1; seq <= 5; seq++) await deliver(sink, seq)
    assert.deepEqual(list(), [
      'open_3_events.jsonl',
      'wafer_events_events.2.jsonl.gz',
      'wafer_events_events.jsonl.gz',
    ])
    const text = String(gunzipSync(readFileSync(join(dir, 'wafer_events_events.jsonl.gz'))))
    assert.deepEqual(
      text
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line).source.seq),
      [1, 2],
    )
  })

  test('never get a name that was given before, also when a collector took the file away', async () => {
    const folder = await Folder.open(freshFolder(), 'csv')
    const given: string[] = []
    // The clock goes back in the middle.
    const periods = [
      '20261126_19',
      '20261126_19',
      '20261126_20',
      '20261126_19',
      '20261126',
      '20261125',
      '20261126_20',
    ]
    for (const [i, period] of periods.entries()) {
      const file = { serial: i + 1, period }
      await (await folder.create(file)).close()
      const name = await folder.finish(file, i)
      given.push(name)
      renameSync(folder.path(name), `${folder.path('taken')}-${i}`)
    }
    assert.equal(new Set(given).size, periods.length, String(given))
    assert.deepEqual(given.slice(0, 3), [
      'wafer_events_20261126_19.csv',
      'wafer_events_20261126_19.2.csv',
      'wafer_events_20261126_20.csv',
    ])
    const again = await Folder.open(folder.dir, 'csv')
    await (await again.create({ serial: 9, period: '20261126_20' })).close()
    assert.ok(!given.includes(await again.finish({ serial: 9, period: '20261126_20' }, 9)))
  })

  test('are named by the hour or the day of writing, in UTC', () => {
    const ms = Date.UTC(2026, 10, 26, 19, 59)
    const names = (['daily', 'hourly', 'none'] as const).map((rotation) => periodOf(ms, rotation))
    assert.deepEqual(names, ['20261126', '20261126_19', 'events'])
  })

  test('are cut to what was recorded at the start', async (t) => {
    const { dir, sink, list } = openFiles(t, 'csv')
    const state = await deliver(sink, 1, 2)
    await deliver(sink, 3)
    await sink.close?.()
    const next = openFiles(t, 'csv', { dir, ...(state ? { state } : {}) })
    await deliver(next.sink, 3, 4)
    const text = readFileSync(join(dir, list()[0] ?? ''), 'utf8')
    const seqs = text
      .trim()
      .split('\r\n')
      .slice(1)
      .map((line) => line.split(',').at(-1))
    assert.deepEqual(seqs, ['1', '2', '3', '4'])
  })

  test('are cut, and finished when their time is over, also when no event comes', async (t) => {
    const { dir, sink, list } = openFiles(t, 'csv')
    const state = await deliver(sink, 1, 2)
    await sink.close?.()
    const path = join(dir, 'open_1_20250101.csv')
    renameSync(join(dir, list()[0] ?? ''), path)
    const text = readFileSync(path, 'utf8')
    appendFileSync(path, '2026-03-01,"torn\r\n')
    const next = openFiles(t, 'csv', { dir, ...(state ? { state } : {}) })
    await until('the file to be finished', () => next.list()[0] === 'wafer_events_20250101.csv')
    assert.equal(readFileSync(join(dir, 'wafer_events_20250101.csv'), 'utf8'), text)
  })

  test('have every event of a spool that writes where another did, and where it did before', async (t) => {
    const dirs = [join(freshFolder(), 'one'), join(freshFolder(), 'other')] as const
    const write = async (place: 0 | 1, from: string | undefined, ...batches: number[][]) => {
      const files = openFiles(t, 'csv', {
        dir: dirs[place],
        ...(from ? { state: from } : {}),
        ...small,
      })
      let state = from
      for (const batch of batches) state = await deliver(files.sink, ...batch)
      await files.sink.close?.()
      return state
    }
    const small = { max_bytes: 1100, config: { rotation: 'none' } }
    // Other spools have been here, and got far.
    const others = Array.from({ length: 40 }, (_, i) => [900_001 + i])
    await write(0, undefined, ...others.slice(0, 9))
    await write(1, undefined, ...others.slice(9))
    let state = await write(0, undefined, [1], [2], [3])
    // Begun and finished without a word to the spool, as by a kill.
    await write(0, state, [4], [5])
    state = await write(0, state, [4], [5], [6])
    // To another folder by the settings, and back, twice.
    for (let seq = 7; seq < 15; seq += 2)
      state = await write(seq % 4 === 3 ? 1 : 0, state, [seq], [seq + 1])
    const found = dirs.flatMap((dir) =>
      readdirSync(dir)
        .filter((name) => /csv$/.test(name) && !name.startsWith('.'))
        .flatMap((name) => readFileSync(join(dir, name), 'utf8').trim().split('\r\n').slice(1)),
    )
    const seqs = found.map((line) => Number(line.split(',').at(-1))).sort((a, b) => a - b)
    const own = Array.from({ length: 14 }, (_, i) => i + 1)
    assert.deepEqual(seqs, [...own, ...others.flat()])
  })

  test('are kept without a torn last line when nothing was recorded', async (t) => {
    const { dir, sink, list } = openFiles(t, 'csv')
    await deliver(sink, 1, 2)
    await sink.close?.()
    appendFileSync(join(dir, list()[0] ?? ''), '2026-03-01,"torn\r\n')
    const next = openFiles(t, 'csv', { dir })
    await deliver(next.sink, 7)
    const [fresh = '', kept = ''] = next.list()
    assert.match(`${fresh} ${kept}`, /^open_2_\d{8}\.csv wafer_events_\d{8}\.csv$/)
    assert.equal(readFileSync(join(dir, kept), 'utf8').trim().split('\r\n').length, 3)
  })

  test('that are shorter than recorded are continued after their last whole line, and it is said', async (t) => {
    const { dir, sink, list } = openFiles(t, 'json')
    const state = await deliver(sink, 1, 2)
    await sink.close?.()
    const path = join(dir, list()[0] ?? '')
    writeFileSync(path, readFileSync(path, 'utf8').slice(0, -20))
    const next = openFiles(t, 'json', { dir, ...(state ? { state } : {}) })
    await deliver(next.sink, 3)
    const seqs = readFileSync(path, 'utf8')
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line).source.seq)
    assert.deepEqual(seqs, [1, 3])
    assert.ok(next.lines.some((line) => /a file of events is too short/.test(line)))
  })

  test('are written by one sink alone', async (t) => {
    const { dir, sink } = openFiles(t, 'csv')
    await deliver(sink, 1)
    const other = openFiles(t, 'csv', { dir })
    const answer = await other.sink.deliver(sent(2), signal)
    assert.match(
      reasonOf(answer),
      /is used by process \d+; give each sink and each sidecar a folder/,
    )
    // A sink of another kind has other names.
    await deliver(openFiles(t, 'json', { dir }).sink, 1)
  })

  test('stay in their folder: no link is followed, and no event has a say in a name', async (t) => {
    const { dir, sink } = openFiles(t, 'csv')
    const outside = join(freshFolder(), 'outside')
    writeFileSync(outside, 'precious')
    mkdirSync(dir)
    symlinkSync(outside, join(dir, 'open_7_events.csv'))
    const event = { ...wholeEvent(1), site_id: '../../etc', idempotency_key: '../x' }
    await sink.deliver([new Outgoing(1, JSON.stringify(event))], signal)
    assert.equal(readFileSync(outside, 'utf8'), 'precious')
    assert.deepEqual(readdirSync(join(dir, '..')), ['events'])
  })

  test('say how much space they need when the disk is short of it', async (t) => {
    const dir = join(freshFolder(), 'events')
    const log = pino({ level: 'silent' })
    for (const [free, size, isEnough] of [
      [2 ** 30 - 1, 2 ** 31, false],
      [2 ** 30, 2 ** 31, true],
      [2 ** 32, 2 ** 40, false],
      [2 ** 36, 2 ** 40, true],
    ] as const) {
      const space = async () => ({ free, size })
      const sink = openCsv(csvSettings.parse({ output_dir: dir }), { log }, space)
      t.after(() => sink.close?.())
      const answer = await sink.deliver(sent(1), signal)
      assert.equal(answer.kind, isEnough ? 'judged' : 'failed', `${free}`)
      if (!isEnough) assert.match(reasonOf(answer), /MiB are free, and \d+ MiB have to be/)
      if (!isEnough) assert.match(String(await sink.probe?.(signal)), /MiB are free/)
      await sink.close?.()
    }
  })

  test('on a disk that is full for their names fail, and go on once it is not', async (t) => {
    const disk = diskOf(t)
    const { dir, sink, list } = openFiles(t, 'csv', {
      config: { rotation: 'none' },
      max_bytes: 1100,
    })
    for (const name of ['.wafer_events_csv.lock', '.wafer_events_csv']) {
      disk.fill(join(dir, name))
      assert.match(
        reasonOf(await sink.deliver(sent(1), signal)),
        /it cannot write in .*(ENOSPC|cannot lock)/,
      )
      disk.free()
    }
    for (let seq = 1; seq <= 2; seq++) await deliver(sink, seq)
    disk.fill(join(dir, '.wafer_events_csv'))
    assert.match(reasonOf(await sink.deliver(sent(3, 4), signal)), /ENOSPC/)
    disk.free()
    await deliver(sink, 3, 4)
    const rows = await query(
      `select source_seq from read_csv(['${list()
        .map((name) => join(dir, name))
        .join("','")}'], all_varchar = true)`,
    )
    assert.deepEqual(rows.map((row) => row.source_seq).sort(), ['1', '2', '3', '4'])
    assert.ok(existsSync(join(dir, 'wafer_events_events.csv')))
  })
})
