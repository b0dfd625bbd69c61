import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, type TestContext, test } from 'node:test'
import { gzipSync } from 'node:zlib'
import { must } from '../../src/core/must.ts'
import { freshDatabase } from '../support/database.ts'
import { fakeSidecar } from '../support/fake-sidecar.ts'
import { freshFolder, launch, startRole, until } from '../support/processes.ts'
import { wafermon } from '../support/run.ts'
import { foldFile, lotColumns, sample, samples } from '../tools/import/support.ts'

type Columns = Readonly<Record<string, string>>

/** The arguments of an import. */
function argsOf(format: string, file: string, url: string, map?: Columns): string[] {
  const columns = Object.entries(map ?? {}).map(([field, column]) => `${field}=${column}`)
  const args = ['import', format, file, '--zone', 'UTC', '--json', '--url', url]
  return [...args, ...(map ? ['--map', columns.join(',')] : [])]
}

/** A row of the API, of a job or a subjob. */
type Shown = { job_id: string; subjob_id?: string; updated_at: string } & Record<string, unknown>

async function askAll(localApi: string): Promise<Map<string, Shown>> {
  const rows = new Map<string, Shown>()
  for (const kind of ['jobs', 'subjobs']) {
    const query = `${kind}?from=2020-01-01T00:00:00Z&limit=10000`
    const answer = await fetch(`${localApi}/v1/${query}`)
    const { items } = (await answer.json()) as { items: Shown[] }
    for (const item of items) rows.set(item.subjob_id ?? item.job_id, item)
  }
  return rows
}

const startSidecar = (t: TestContext, localApi: string) =>
  startRole(t, 'sidecar', { SPOOL_DIR: freshFolder(), LOCAL_API_BASE: localApi })

const emptied = (url: string) =>
  until('the spool to be empty', async () => {
    const health = (await (await fetch(`${url}/v1/healthz`)).json()) as { spool_count: number }
    return health.spool_count === 0
  })

/** A table of jobs that fail and succeed in turn. */
function manyLots(n: number): string {
  const file = join(freshFolder(), 'many.csv')
  const rows = Array.from({ length: n }, (_, i) => {
    const at = (minute: number) => new Date(1_767_592_800_000 + i * 1000 + minute * 60_000)
    const times = [at(0), at(1), at(2)].map((time) => time.toISOString())
    return [`L${i}`, ...times, i % 3 === 0 ? 'failed' : 'done'].join()
  })
  writeFileSync(file, ['lot,queued,start,end,result', ...rows].join('\n'))
  return file
}
const manyColumns = {
  ...{ id: 'lot', queued_at: 'queued', started_at: 'start', ended_at: 'end', status: 'result' },
}

describe('wafermon import, between real processes', () => {
  test('stores what the files say, and changes nothing the second time', async (t) => {
    const { url } = await freshDatabase(t)
    const localApi = await startRole(t, 'local-api', { DATABASE_URL: url })
    const importAll = async () => {
      const sidecar = await startSidecar(t, localApi.url)
      for (const { format, file, bad, ...own } of samples) {
        const map = 'map' in own ? own.map : undefined
        const { code, out, err } = await wafermon(argsOf(format, sample(file), sidecar.url, map))
        assert.equal(code, 1, 'each sample has broken lines')
        const counts = JSON.parse(out)
        assert.deepEqual([counts.bad, counts.rejected], [bad.length, {}], file)
        assert.equal(counts.accepted + counts.duplicates, counts.events, file)
        for (const line of bad) assert.ok(err.includes(`${file}:${line}: `), err)
      }
      await emptied(sidecar.url)
      await sidecar.stop()
      return askAll(localApi.url)
    }

    const stored = await importAll()
    let compared = 0
    for (const { format, file, bad: _, ...own } of samples) {
      const { byKey, jobs, subjobs } = await foldFile(format, sample(file), own)
      for (const { id } of [...jobs, ...subjobs]) assert.ok(stored.has(id), `${file}: ${id}`)
      for (const [key, job] of Object.entries(byKey)) {
        const row = must(stored.get(job.slots.id), 'it was found above')
        const { status, attempt, queue_s, duration_s, last_error, event_count } = row
        assert.deepEqual(
          { status, attempt, queue_s, duration_s, last_error, event_count },
          {
            ...{ status: job.status, attempt: job.slots.attempt, queue_s: job.queueS },
            ...{ duration_s: job.durationS, last_error: job.lastError ?? null },
            event_count: job.slots.event_count,
          },
          `${file}: ${key}`,
        )
        compared++
      }
    }
    assert.ok(compared > 30, `only ${compared} jobs`)
    assert.deepEqual(await importAll(), stored)
  })

  test('ends the same when it is killed in the middle and run again', async (t) => {
    const { url } = await freshDatabase(t)
    const localApi = await startRole(t, 'local-api', { DATABASE_URL: url })
    const sidecar = await startSidecar(t, localApi.url)
    const file = manyLots(3000)
    const state = freshFolder()
    const args = [...argsOf('csv', file, sidecar.url, manyColumns), '--state', state]
    const position = () => {
      try {
        return JSON.parse(readFileSync(join(state, 'many.csv.fab1.importer.json'), 'utf8')).sent
      } catch {
        return 0
      }
    }
    const killed = launch(args, {})
    await until('the first batches', () => position() > 0)
    await killed.kill9()
    const sent = position()
    assert.ok(sent < 9000, 'it was killed before its end')
    const rest = await wafermon(args)
    assert.equal(rest.code, 0, rest.err)
    assert.match(rest.err, /^continues after [\d,]+ events\n/)
    assert.equal(JSON.parse(rest.out).sent, 9000 - sent)
    await emptied(sidecar.url)
    const rows = [...(await askAll(localApi.url)).values()]
    assert.equal(rows.length, 3000)
    const failed = rows.filter(({ status }) => status === 'failed').length
    assert.equal(failed, 1000)
    for (const { event_count, queue_s, duration_s } of rows) {
      assert.deepEqual([event_count, queue_s, duration_s], [3, 60, 60])
    }
  })
})

describe('wafermon import', () => {
  const lots = (url: string, file = sample('lots.csv')) => argsOf('csv', file, url, lotColumns)

  test('sends nothing in a dry run, and says what it found', async (t) => {
    const sidecar = await fakeSidecar(t)
    const { code, out } = await wafermon([...lots(sidecar.url), '--dry-run'])
    assert.equal(code, 1)
    const { events, kinds, sent, bad, first_at } = JSON.parse(out)
    assert.deepEqual([events, sent, bad, first_at], [15, 0, 2, '2026-03-01T10:00:00.000000Z'])
    assert.deepEqual(kinds, { queued: 6, started: 5, error: 1, finished: 2, canceled: 1 })
    assert.equal(sidecar.batches.length, 0)
  })

  test('reads times without a zone in the zone that is given, and in none otherwise', async (t) => {
    const sidecar = await fakeSidecar(t)
    const args = lots(sidecar.url).filter((arg) => arg !== '--zone' && arg !== 'UTC')
    const without = await wafermon(args)
    assert.equal(without.code, 2)
    assert.match(
      without.err,
      /lots\.csv:2: ended_at: the time .* has no zone; .*--zone or SITE_ZONE/,
    )
    const first = async (env: Record<string, string>, more: string[] = []) =>
      JSON.parse((await wafermon([...args, '--dry-run', ...more], env)).out).first_at
    assert.equal(await first({ SITE_ZONE: 'Asia/Taipei' }), '2026-03-01T02:00:00.000000Z')
    const berlin = await first({ SITE_ZONE: 'Asia/Taipei' }, ['--zone', 'Europe/Berlin'])
    assert.equal(berlin, '2026-03-01T09:00:00.000000Z')
    const wrong = await wafermon([...args, '--zone', 'Fab/One'])
    assert.equal(wrong.code, 2)
    assert.match(wrong.err, /--zone.* must be a name of the time zone database/)
  })

  test('names the site and the app that are given', async (t) => {
    const sidecar = await fakeSidecar(t)
    const args = [...lots(sidecar.url), '--site', 'fab7', '--app', 'etch']
    assert.equal((await wafermon(args)).code, 1)
    for (const { site_id, app, historical } of sidecar.events) {
      assert.deepEqual([site_id, app.name, historical], ['fab7', 'etch', true])
    }
  })

  test('reads what gzip made smaller, and says where that breaks off', async (t) => {
    const sidecar = await fakeSidecar(t)
    const packed = gzipSync(readFileSync(manyLots(20_000)))
    const file = join(freshFolder(), 'lots.csv.gz')
    writeFileSync(file, packed)
    const dry = async () =>
      wafermon([...argsOf('csv', file, sidecar.url, manyColumns), '--dry-run'])
    const whole = await dry()
    assert.deepEqual([whole.code, JSON.parse(whole.out).events], [0, 60_000])
    writeFileSync(file, packed.subarray(0, packed.length - 100))
    const torn = await dry()
    assert.equal(torn.code, 1)
    assert.match(torn.err, /its compression is broken here \(Z_BUF_ERROR\)/)
    assert.ok(JSON.parse(torn.out).events > 0)
  })

  test('starts over when the file is another one, or its beginning changed', async (t) => {
    const sidecar = await fakeSidecar(t)
    const state = freshFolder()
    const file = manyLots(600)
    const args = [...argsOf('csv', file, sidecar.url, manyColumns), '--state', state]
    sidecar.trouble = (batch) => (batch > 2 ? 'silence' : undefined)
    const stopped = launch(args, {})
    await until('the third batch', () => sidecar.batches.length === 3)
    assert.equal((await stopped.stop()).code, 1)
    assert.match(stopped.err(), /stopped; run the same command to continue\n$/)
    sidecar.trouble = () => undefined
    writeFileSync(file, readFileSync(file, 'utf8').replace('L0,', 'L-0,'))
    const again = await wafermon(args)
    assert.equal(again.code, 0)
    assert.equal(JSON.parse(again.out).sent, 1800)
    // Once it is complete, it begins again.
    assert.equal(JSON.parse((await wafermon(args)).out).sent, 1800)
  })

  const wrong: [string, string[], RegExp][] = [
    ['a format', ['sact', 'x'], /^there is no format sact; did you mean sacct\?\n$/],
    ['a file', ['sacct', '/nowhere/x'], /cannot read \/nowhere\/x \(ENOENT\); give the file/],
    ['a folder', ['sacct', '/tmp'], /cannot read \/tmp \(EISDIR\)/],
    ['a column', ['sacct', sample('lots.csv')], /has no column JobID; its first line names: Lot/],
    ['an option', ['xes', 'x', '--map', 'id=a'], /^--map has no use for xes; leave it out\n$/],
    ['no columns', ['csv', sample('lots.csv')], /^--map: name the column of the id/],
    [
      'a field',
      ['csv', sample('lots.csv'), '--map', 'id=Lot,statsu=Result'],
      /^--map: there is no field statsu; did you mean status\?\n$/,
    ],
    ['a pair', ['csv', 'x', '--map', 'id'], /--map.*must be FIELD=COLUMN/],
  ]
  for (const [what, args, message] of wrong) {
    test(`refuses a command line that is wrong in ${what}`, async () => {
      const { code, err } = await wafermon(['import', ...args])
      assert.equal(code, 2)
      assert.match(err, message)
    })
  }
})
