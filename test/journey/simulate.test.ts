import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import fc from 'fast-check'
import { families, metrologyTools } from '../../src/tools/simulate/fab.ts'
import { type PlannedJob, type PlanOptions, planJobs } from '../../src/tools/simulate/plan.ts'
import { fakeSidecar } from '../support/fake-sidecar.ts'
import { importsOf } from '../support/import-rules.ts'
import { freshFolder, launch, until } from '../support/processes.ts'
import { lines, wafermon } from '../support/run.ts'

function first(n: number, options: PlanOptions): PlannedJob[] {
  const jobs: PlannedJob[] = []
  for (const job of planJobs(options)) if (jobs.push(job) === n) break
  return jobs
}

const fab = () => first(6000, { seed: 3, startMs: 0, jobsPerMinute: 40 })
type Rec = {
  job_id: string
  parent_id: string | null
  status: string
  submit_ts: number
  start_ts: number | null
  end_ts: number | null
  cpu_s: number | null
  mem_bytes: number | null
}

const textOf = (value: unknown) => String(value ?? '')

describe('the simulated fab', () => {
  test('is decided by its seed and the time it begins', () => {
    fc.assert(
      fc.property(fc.nat(), fc.nat(), (seed, startMs) => {
        const options = { seed, startMs, jobsPerMinute: 40 }
        assert.deepEqual(first(30, options), first(30, options))
      }),
      { numRuns: 50 },
    )
  })

  test('has new jobs at every start', () => {
    const ids = (startMs: number) =>
      first(50, { seed: 1, startMs, jobsPerMinute: 40 }).map((job) => job.id)
    assert.equal(new Set([...ids(1), ...ids(2)]).size, 100)
  })

  test('starts jobs in the order of time, about as many as asked', () => {
    for (const jobsPerMinute of [0.5, 40, 2000]) {
      const jobs = first(3000, { seed: 3, startMs: 0, jobsPerMinute })
      for (const [i, job] of jobs.entries()) assert.ok(i === 0 || job.atMs >= jobs[i - 1]!.atMs)
      const share = 3000 / (jobs.at(-1)!.atMs / 60_000) / jobsPerMinute
      assert.ok(share > 0.9 && share < 1.1, `${share} of ${jobsPerMinute}`)
    }
  })

  test('lets some of them go wrong, few enough that a storm stands out', () => {
    const jobs = fab()
    const share = (outcome: string) =>
      jobs.filter((job) => job.outcome === outcome).length / jobs.length
    assert.ok(share('failed') > 0.02 && share('failed') < 0.15, `failed ${share('failed')}`)
    assert.ok(
      share('canceled') > 0.005 && share('canceled') < 0.05,
      `canceled ${share('canceled')}`,
    )
    assert.ok(share('silent') > 0 && share('silent') < 0.05, `silent ${share('silent')}`)
    const types = new Set(jobs.flatMap(({ error }) => error?.[0] ?? []))
    for (const type of ['ToolDown', 'ServerUnreachable', 'ChecksumMismatch']) {
      assert.ok(types.has(type), type)
    }
    for (const { outcome, error } of jobs) {
      assert.equal(error !== undefined, outcome === 'failed')
      assert.doesNotMatch(textOf(error?.[1]), /[{}]|undefined/)
    }
    const hung = jobs.filter(({ durationMs }) => durationMs > 12 * 60_000)
    assert.ok(hung.length > 0)
  })

  test('has lots that are in one place at a time, and continue where they were', () => {
    for (const own of Map.groupBy(fab(), (job) => job.lot).values()) {
      for (const [i, job] of own.entries()) {
        const before = own[i - 1]
        if (!before) continue
        assert.ok(job.atMs >= before.atMs + before.durationMs)
        assert.ok(job.readyMs <= job.atMs)
        assert.equal(job.metadata.carrier_id, before.metadata.carrier_id)
        assert.equal(job.metadata.priority, before.metadata.priority)
        assert.ok(Number(job.metadata.step) >= Number(before.metadata.step))
        const again = before.outcome === 'succeeded' ? undefined : before
        if (again) assert.deepEqual([job.app.name, job.tool], [again.app.name, again.tool])
      }
    }
    const hot = fab().filter((job) => job.metadata.priority === 'hot')
    assert.ok(hot.length > 0)
  })

  test('gives a tool recipes of its kind, and the program that runs with it', () => {
    for (const { app, tool, metadata } of fab()) {
      const family = families.find(({ tools }) => tools.includes(tool))
      const recipe = textOf(metadata.recipe)
      if (family) {
        assert.ok(family.recipes.includes(recipe), `${tool} ${recipe}`)
        assert.ok(['recipe-download', family.app.name].includes(app.name), `${tool} ${app.name}`)
      } else if (metrologyTools.includes(tool)) assert.equal(app.name, 'metrology-upload')
    }
  })

  test('ends a job with its last part, all of them when it succeeds', () => {
    for (const { app, parts, atMs, durationMs, outcome } of fab()) {
      assert.equal(parts.length > 0, app.parts !== undefined)
      for (const [i, part] of parts.entries()) {
        assert.ok(part.atMs >= atMs && part.atMs + part.durationMs <= atMs + durationMs)
        assert.equal(part.outcome, i === parts.length - 1 ? outcome : 'succeeded')
      }
    }
  })

  test('reaches the outside through the SDK alone', () => {
    const folder = fileURLToPath(new URL('../../src/tools/simulate', import.meta.url))
    const allowed =
      /^(\.\/|node:fs$|\.\.\/\.\.\/(sdk\/index|core\/(uuid|errors|must)|platform\/(backoff|clock|stdout))\.ts$|\.\.\/sidecar\.ts$)/
    for (const name of readdirSync(folder)) {
      const text = readFileSync(join(folder, name), 'utf8')
      for (const { target } of importsOf(text)) assert.match(target, allowed, `${name}: ${target}`)
      assert.doesNotMatch(text, /\bfetch\(/)
    }
  })
})

describe('wafermon simulate', () => {
  test('plays lots with their wafers to the sidecar of --url', async (t) => {
    const sidecar = await fakeSidecar(t)
    const args = ['simulate', '--rate', '600', '--duration', '600', '--site', 'fab9']
    const running = launch(args, { SIDECAR_URL: sidecar.url })
    const kinds = () =>
      new Set(sidecar.events.map(({ entity, event }) => `${entity.type} ${event.kind}`))
    t.after(() => running.kill9())
    await until('jobs and wafers that end', () => {
      const seen = kinds()
      return ['job finished', 'subjob finished', 'job progress'].every((kind) => seen.has(kind))
    })
    const failed = await until(
      'a failure',
      () => sidecar.events.find(({ event }) => event.status === 'failed'),
      60_000,
    )
    assert.match(textOf(failed.event.metadata?.error_type), /^[A-Z]\w+$/)
    assert.equal((await running.stop()).code, 0)
    assert.deepEqual(new Set(sidecar.events.map(({ site_id }) => site_id)), new Set(['fab9']))
    assert.match(running.logs(), /"droppedEvents":0/)
  })

  test('writes the same records for a seed, to a file or to standard output', async () => {
    const args = [
      ...['simulate', '--seed', '5', '--duration', '120', '--end', '2026-03-01T12:00:00Z'],
      '--records',
    ]
    const file = join(freshFolder(), 'records.ndjson')
    const printed = await wafermon(args)
    assert.deepEqual([printed.code, printed.err], [0, ''])
    const written = await wafermon([...args, file])
    assert.match(written.err, /^[\d,]+ records in \S+\n$/)
    assert.equal(readFileSync(file, 'utf8'), printed.out)
    const other = await wafermon([...args.with(2, '6')])
    assert.notEqual(other.out, printed.out)
  })

  test('records what the books of a fab would say at that moment', async () => {
    const start = Date.UTC(2026, 2, 1, 12)
    const run = (seconds: string) => {
      const end = new Date(start + Number(seconds) * 1000).toISOString()
      const args = ['simulate', '--duration', seconds, '--end', end, '--rate', '20', '--records']
      return wafermon(args)
    }
    const records = lines((await run('900')).out) as Rec[]
    const statuses = new Set(records.map(({ status }) => status))
    const all = ['completed', 'failed', 'canceled', 'running', 'waiting']
    assert.deepEqual([...statuses].sort(), [...all].sort())
    const at = records.map(({ start_ts }) => start_ts ?? 0)
    assert.notDeepEqual(
      at,
      at.toSorted((a, b) => a - b),
    )
    const place = new Map(records.map(({ job_id }, i) => [job_id, i]))
    assert.equal(place.size, records.length)
    for (const [i, record] of records.entries()) {
      const { parent_id, status, start_ts, end_ts, submit_ts, cpu_s, mem_bytes } = record
      if (parent_id) assert.ok(i < place.get(parent_id)!)
      const ended = ['completed', 'failed', 'canceled'].includes(status)
      assert.equal(end_ts !== null, ended)
      assert.equal(start_ts === null, status === 'waiting')
      if (start_ts !== null) assert.ok(submit_ts <= start_ts)
      if (end_ts !== null) assert.ok(start_ts !== null && start_ts <= end_ts)
      if (!ended || parent_id) assert.deepEqual([cpu_s, mem_bytes], [null, null])
    }
    // Jobs that had ended by then had ended the same way in the shorter run.
    const earlier = lines((await run('300')).out) as Rec[]
    for (const record of earlier.filter(({ end_ts }) => end_ts !== null)) {
      assert.deepEqual(records[place.get(record.job_id)!], record)
    }
  })

  test('records end now, or when told, and nothing in them is later', async () => {
    const timesOf = (text: string) =>
      (lines(text) as Rec[]).flatMap(({ start_ts, end_ts }) => [start_ts ?? 0, end_ts ?? 0])
    const before = Date.now()
    const { out } = await wafermon(['simulate', '--duration', '300', '--records'])
    const last = Math.max(...timesOf(out))
    assert.ok(last <= Date.now() && last > before - 60_000, new Date(last).toISOString())
    const args = ['--duration', '300', '--records', '--end', '2024-02-29T23:59:59+01:00']
    const then = Math.max(...timesOf((await wafermon(['simulate', ...args])).out))
    const end = Date.parse('2024-02-29T22:59:59Z')
    assert.ok(then <= end && then > end - 60_000, new Date(then).toISOString())
  })

  test('names what is wrong with its flags', async () => {
    const cases: [string[], RegExp][] = [
      [['--records'], /^error: --records needs --duration\n/],
      [['--end', '2026-03-01T12:00:00Z'], /^error: --end needs --records\n/],
      [['--records', '--end', 'noon'], /It must be a time such as 2026-03-01T12:00:00Z\./],
      [['--duration', '3000000'], /^error: --duration must be at most 2000000\n/],
      [['--rate', '0'], /--rate <jobs>.* It must be a number over 0\./],
      [['--seed', '5000000000'], /It must be a whole number from 0 to 4294967295\./],
      [
        ['--records', '/nowhere/x', '--duration', '1'],
        /^--records: cannot write \/nowhere\/x \(ENOENT\)/,
      ],
    ]
    for (const [args, wanted] of cases) {
      const { code, err } = await wafermon(['simulate', ...args])
      assert.equal(code, 2, args.join(' '))
      assert.match(err, wanted)
    }
  })
})
