import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { describe, type TestContext, test } from 'node:test'
import { manifestPath } from '../../src/archive/layout.ts'
import { FolderPlace } from '../../src/archive/places/folder.ts'
import type { Content } from '../../src/archive/places/place.ts'
import type { Problem } from '../../src/archive/problem.ts'
import { assertFileReadsBack, assertReadsBack } from '../../src/archive/read-back.ts'
import { verifyArchive } from '../../src/archive/verify.ts'
import { must } from '../../src/core/must.ts'
import {
  type ArchivedFile,
  recordedFiles,
  recordedManifests,
} from '../../src/store/archive/files.ts'
import { freshFolder, program } from '../support/processes.ts'
import { archived, closedDay, dayAt, eventAt, takeIn } from './support.ts'

/** An archive of one day, of 40 events and jobs. */
async function anArchive(t: TestContext) {
  const { store, url } = await closedDay(
    t,
    Array.from({ length: 40 }, (_, i) => eventAt(i)),
  )
  const dir = freshFolder()
  const { files } = await archived(store, dir)
  const event = must(
    files.find(({ kind }) => kind === 'event'),
    'there are events',
  )
  return { dir, event, store, url }
}

async function problems(dir: string, deep = false): Promise<Problem[]> {
  const found: Problem[] = []
  for await (const item of verifyArchive(new FolderPlace(dir), { deep }))
    if ('problem' in item) found.push(item)
  return found
}

function flipByte(path: string, at: number): void {
  const bytes = readFileSync(path)
  bytes[at]! ^= 1
  writeFileSync(path, bytes)
}

function wafermon(...args: string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [program, ...args], {
    encoding: 'utf8',
  })
  return { status, stdout, stderr }
}

describe('a file that is read back', () => {
  test('is refused when anything of it differs from what was written', async (t) => {
    const { dir, event } = await anArchive(t)
    const place = new FolderPlace(dir)
    await assertFileReadsBack(place, event, true)
    const wrong: [Partial<ArchivedFile>, RegExp][] = [
      [{ bytes: event.bytes + 1 }, /its size is \d+, not/],
      [{ sha256: '0'.repeat(64) }, /its SHA-256 is/],
      [{ rows: 39 }, /its row count is 40, not 39/],
      [{ atMin: '2026-03-13T00:00:00.000000Z' }, /its first time is .*000001Z/],
      [{ atMax: '2026-03-13T00:59:59.000000Z' }, /its last time is .*39.000001Z/],
    ]
    for (const [change, message] of wrong) {
      await assert.rejects(assertFileReadsBack(place, { ...event, ...change }), message)
    }
  })

  test('is refused when a single bit has changed', async (t) => {
    const { dir, event } = await anArchive(t)
    for (const at of [4, Math.floor(event.bytes / 2), event.bytes - 20]) {
      const path = join(dir, event.path)
      flipByte(path, at)
      await assert.rejects(assertFileReadsBack(new FolderPlace(dir), event), /its SHA-256 is/)
      flipByte(path, at)
    }
  })
})

describe('a file whose reading fails in the middle', () => {
  test('fails with that error, and does not end the process', async (t) => {
    const { dir, event } = await anArchive(t)
    const whole = await new FolderPlace(dir).read(event.path)
    assert.ok(whole)
    const broken: Content = {
      bytes: whole.bytes,
      async *chunks(range) {
        // Its footer can be read, the rows before it cannot.
        if (range && range.from < 100) throw new Error('EIO: i/o error, read')
        yield* whole.chunks(range)
      },
    }
    await assert.rejects(assertReadsBack(broken, event), /EIO/)
    await assertReadsBack(whole, event)
  })
})

describe('verify', () => {
  test('finds no fault in an archive as it was written', async (t) => {
    const { dir } = await anArchive(t)
    assert.deepEqual(await problems(dir, true), [])
  })

  test('names a file that is missing or cut short', async (t) => {
    const { dir, event } = await anArchive(t)
    truncateSync(join(dir, event.path), 100)
    assert.deepEqual(await problems(dir), [
      { path: event.path, problem: `has 100 bytes, not ${event.bytes}` },
    ])
    rmSync(join(dir, event.path))
    assert.deepEqual(await problems(dir), [{ path: event.path, problem: 'is missing' }])
  })

  test('sees a changed bit when it looks deep', async (t) => {
    const { dir, event } = await anArchive(t)
    flipByte(join(dir, event.path), 1000)
    assert.deepEqual(await problems(dir), [])
    const [problem] = await problems(dir, true)
    assert.match(problem?.problem ?? '', /reads back differently: its SHA-256/)
  })

  test('names files that no manifest knows, and manifests that cannot be read', async (t) => {
    const { dir, event } = await anArchive(t)
    const stray = join(
      dirname(event.path),
      '20260313T000000000001Z-20260313T000000000002Z-00000000.parquet',
    )
    writeFileSync(join(dir, stray), 'PAR1')
    const broken = manifestPath(dayAt(), 2)
    writeFileSync(join(dir, broken), '{')
    const odd = '_manifest/site=fab1/dt=2026-03-13/hour=x.json'
    writeFileSync(join(dir, odd), '{}')
    const found = new Map((await problems(dir)).map(({ path, problem }) => [path, problem]))
    assert.deepEqual([...found.keys()].sort(), [broken, odd, stray].sort())
    assert.equal(found.get(broken), 'is not JSON')
  })

  test('does not follow a manifest out of the archive', async (t) => {
    const { dir } = await anArchive(t)
    const path = join(dir, manifestPath(dayAt(), 1))
    const manifest = JSON.parse(readFileSync(path, 'utf8'))
    manifest.files[0].path = 'event/site=../dt=../hour=13/../../../etc/passwd.parquet'
    writeFileSync(path, JSON.stringify(manifest))
    const found = await problems(dir)
    assert.match(found[0]?.problem ?? '', /is not a manifest: files.0.path/)
  })
})

describe('wafermon archive', () => {
  test('ls lists the days with their rows', async (t) => {
    const { dir } = await anArchive(t)
    const { status, stdout } = wafermon('archive', 'ls', '--dir', dir)
    assert.equal(status, 0)
    assert.match(
      stdout,
      /^fab1 {2}2026-03-13 {2}40 events, 40 jobs, 0 subjobs, 2 files, 0.0\d MB, version 1$/m,
    )
    assert.match(stdout, /^1 days, 2 files, 0.0 MB listed; 0 problems$/m)
    const json = JSON.parse(wafermon('archive', 'ls', '--json', '--dir', dir).stdout)
    assert.deepEqual(json.days[0].rows, { event: 40, job: 40, subjob: 0 })
  })

  test('says what it can do', () => {
    const { status, stdout } = wafermon('archive', 'verify', '--help')
    assert.equal(status, 0)
    for (const flag of ['--dir <place>', '--json', '--deep']) assert.ok(stdout.includes(flag))
  })

  test('names a manifest that is wrong', async (t) => {
    const { dir } = await anArchive(t)
    const path = join(dir, manifestPath(dayAt(), 1))
    const text = readFileSync(path, 'utf8')
    writeFileSync(path, text.replace('"event": 40', '"event": 41'))
    const { status, stdout } = wafermon('archive', 'verify', '--dir', dir)
    assert.equal(status, 1)
    assert.match(stdout, /^PROBLEM {2}_manifest\/.*lists files with 40 rows of event, not 41$/m)
    const lie = text.replaceAll('"rows": 40', '"rows": 39').replace('"event": 40', '"event": 39')
    writeFileSync(path, lie.replace('"job": 40', '"job": 39'))
    assert.equal(wafermon('archive', 'verify', '--dir', dir).status, 0)
    const deep = wafermon('archive', 'verify', '--deep', '--json', '--dir', dir)
    assert.equal(deep.status, 1)
    assert.match(JSON.parse(deep.stdout).problems[0].problem, /its row count is 40, not 39/)
  })

  test('verify exits with 1 when anything is wrong', async (t) => {
    const { dir, event } = await anArchive(t)
    assert.equal(wafermon('archive', 'verify', '--deep', '--dir', dir).status, 0)
    rmSync(join(dir, event.path))
    const { status, stdout } = wafermon('archive', 'verify', '--dir', dir)
    assert.equal(status, 1)
    assert.match(stdout, /^PROBLEM {2}event\/.* is missing$/m)
  })

  test('ends quietly when its reader has left', async (t) => {
    const { dir } = await anArchive(t)
    const child = spawn(process.execPath, [program, 'archive', 'ls', '--dir', dir])
    child.stdout.destroy()
    let complaint = ''
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      complaint += text
    })
    const [code] = await once(child, 'close')
    assert.deepEqual([code, complaint], [0, ''])
  })

  test('says so when there is no archive, or nothing in it', () => {
    const { status, stderr } = wafermon('archive', 'ls', '--dir', '/nowhere/at/all')
    assert.equal(status, 2)
    assert.match(stderr, /there is no folder \/nowhere\/at\/all/)
    const empty = freshFolder()
    for (const command of ['ls', 'verify']) {
      const unmounted = wafermon('archive', command, '--dir', empty)
      assert.equal(unmounted.status, 2)
      assert.match(unmounted.stderr, /there is no archive in .*; choose its folder with --dir/)
    }
    mkdirSync(join(empty, '_manifest'))
    assert.equal(wafermon('archive', 'ls', '--dir', empty).status, 2)
    writeFileSync(join(empty, '_manifest/notes'), '')
    const { stdout, ...odd } = wafermon('archive', 'ls', '--json', '--dir', empty)
    assert.equal(odd.status, 1)
    assert.deepEqual(JSON.parse(stdout), {
      days: [],
      problems: [{ path: '_manifest/notes', problem: 'is not the name of a manifest' }],
    })
  })
})

describe('the chain of manifests', () => {
  test('shows that a whole day was removed, manifest and all', async (t) => {
    const { dir, store } = await anArchive(t)
    await takeIn(store, [eventAt(0, {}, 14)], 15)
    await archived(store, dir, dayAt(14))
    assert.deepEqual(await problems(dir, true), [])
    removeDay(dir, 'dt=2026-03-13')
    assert.deepEqual(await problems(dir, true), [
      {
        path: manifestPath(dayAt(), 1),
        problem:
          'is missing: number 1 in the chain of fab1; its day cannot be trusted; restore it from a copy',
      },
    ])
  })

  test('shows that a manifest was changed', async (t) => {
    const { dir, store } = await anArchive(t)
    await takeIn(store, [eventAt(0, {}, 14)], 15)
    await archived(store, dir, dayAt(14))
    const path = join(dir, manifestPath(dayAt(), 1))
    writeFileSync(
      path,
      readFileSync(path, 'utf8').replace(/"archived_by": "[^"]+"/, '"archived_by": "x"'),
    )
    assert.deepEqual(await problems(dir), [
      {
        path: manifestPath(dayAt(), 1),
        problem: 'was changed: the manifest after it has another hash',
      },
    ])
  })
})

/** As if a day had never been archived. */
function removeDay(dir: string, day: string): void {
  for (const kind of ['event', 'job', 'subjob', '_manifest']) {
    rmSync(join(dir, kind, 'site=fab1', day), { recursive: true, force: true })
  }
}

describe("the database's record of the archive", () => {
  test('shows that the end of a chain was removed, manifest and all', async (t) => {
    const { dir, event, store } = await anArchive(t)
    await takeIn(store, [eventAt(0, {}, 12)])
    await archived(store, dir, dayAt(12))
    const place = new FolderPlace(dir)
    const compare = async () => {
      const recorded = { files: recordedFiles(store), manifests: recordedManifests(store) }
      const found: Problem[] = []
      for await (const item of verifyArchive(place, { recorded })) {
        if ('problem' in item) found.push(item)
      }
      return found
    }
    assert.deepEqual(await compare(), [])
    removeDay(dir, 'dt=2026-03-12')
    assert.deepEqual(await problems(dir, true), [], 'the archive by itself looks whole')
    const found = await compare()
    assert.match(
      found.find(({ path }) => path === manifestPath(dayAt(12), 1))?.problem ?? '',
      /the archive lacks a manifest that it had/,
    )
    assert.ok(found.some(({ problem }) => /its day has no manifest/.test(problem)))
    assert.ok(!found.some(({ path }) => path === event.path))
  })

  test('is compared by wafermon archive verify when it has a database, and missed aloud when not', async (t) => {
    const { dir, url } = await anArchive(t)
    const alone = wafermon('archive', 'verify', '--dir', dir)
    assert.match(
      alone.stdout,
      /not compared with the database's record \(--database-url\); 0 problems/,
    )
    const both = wafermon('archive', 'verify', '--dir', dir, '--database-url', url)
    assert.match(both.stdout, /also with the database's record; 0 problems/)
  })
})
