import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { formats } from '../../../src/tools/import/formats/index.ts'
import { freshFolder } from '../../support/processes.ts'
import { foldFile, lotColumns, readFound, sample, samples } from './support.ts'

type Folded = Awaited<ReturnType<typeof foldFile>>
const day = '2026-03-01T'
const at = (time: string) => `${day}${time}.000000Z`

/** What is compared of a job. */
function stateOf({ byKey }: Folded, key: string) {
  const job = byKey[key]
  assert.ok(job, `there is no ${key}`)
  const { status, durationS, queueS, slots, lastError = null } = job
  return { status, attempt: slots.attempt, queueS, durationS, lastError }
}

/** The attempts before the last one: how each ended. */
const earlier = ({ byKey }: Folded, key: string) =>
  Object.values(byKey[key]?.slots.attempts ?? {}).map((entry) => entry?.end?.status)

describe('the samples', () => {
  test('are of every format', () => {
    const names = new Set(samples.map(({ format }) => format as string))
    assert.deepEqual([...names].sort(), formats.map(({ name }) => name).sort())
  })

  for (const { format, file, bad, ...options } of samples) {
    test(`${file}: what is broken is named by its line, and nothing else is`, async () => {
      const found = await readFound(format, sample(file), options)
      const lines = found.flatMap((one) => ('why' in one ? [one.line] : []))
      assert.deepEqual(lines, [...bad])
    })

    test(`${file}: gives the same events again, and no two of one identity`, async () => {
      const [first, second] = [
        await readFound(format, sample(file), options),
        await readFound(format, sample(file), options),
      ]
      assert.deepEqual(first, second)
      const ids = first.flatMap((one) =>
        'event' in one ? [`${one.event.event.at} ${one.event.idempotency_key}`] : [],
      )
      assert.equal(new Set(ids).size, ids.length)
    })

    test(`${file}: gives other jobs to another site and to another system`, async () => {
      const idsOf = async (own: object) =>
        (await readFound(format, sample(file), { ...options, ...own })).flatMap((one) =>
          'event' in one ? [one.event.entity.id] : [],
        )
      // A UUID is unique already.
      if (format === 'openlineage') return
      const here = new Set(await idsOf({}))
      for (const own of [{ siteId: 'fab2' }, { system: 'another' }]) {
        for (const id of await idsOf(own)) assert.ok(!here.has(id))
      }
    })

    test(`${file}: gives every job the app that was named`, async () => {
      const found = await readFound(format, sample(file), { ...options, app: 'litho' })
      for (const one of found) {
        if ('event' in one) assert.equal((one.event.app as { name: string }).name, 'litho')
      }
    })
  }
})

describe('sacct', async () => {
  const file = await foldFile('sacct', sample('sacct.txt'))
  const ok = { status: 'succeeded', attempt: 1, lastError: null }

  test('has the wait, the run and the step of a job', () => {
    assert.deepEqual(stateOf(file, '101'), { ...ok, queueS: 60, durationS: 1800 })
    assert.deepEqual(stateOf(file, 'batch'), { ...ok, queueS: null, durationS: 1800 })
    assert.equal(file.byKey.batch?.slots.parent_id, file.byKey['101']?.slots.id)
    const { metadata, slots } = file.byKey['101'] as NonNullable<Folded['byKey'][string]>
    assert.deepEqual(metadata, {
      ...{ user: 'anna', cluster: 'fab', queue: 'night', host: 'n01', max_duration_s: 3600 },
      ...{ eligible_at: at('10:00:05'), resources: { cpus: 4, memory_mb: 16_384 }, exit_code: 0 },
    })
    assert.equal(slots.metrics?.cpu_total_s?.[1], 6000)
    assert.equal(file.byKey['0']?.slots.mem_max_mb, 600)
  })

  test('makes an attempt of each time that a job was requeued, and its steps belong to it', () => {
    assert.deepEqual(stateOf(file, '102'), { ...ok, attempt: 3, queueS: 600, durationS: 720 })
    assert.deepEqual(earlier(file, '102'), ['failed', 'canceled'])
    assert.equal(file.byKey['102']?.slots.attempts?.[1]?.error?.text, 'NODE_FAIL')
    assert.deepEqual(stateOf(file, '0'), { ...ok, attempt: 3, queueS: null, durationS: 719 })
    assert.deepEqual(earlier(file, '0'), ['failed'])
  })

  const ends: [string, string, string | null][] = [
    ['103', 'failed', 'exit code 2'],
    ['104', 'failed', 'TIMEOUT'],
    ['105', 'failed', 'OUT_OF_MEMORY'],
    ['106', 'canceled', null],
    ['107', 'queued', null],
    ['108', 'running', null],
    ['109', 'canceled', null],
    ['110_2', 'unknown', null],
  ]
  for (const [key, status, error] of ends) {
    test(`says of job ${key} that it is ${status}`, () => {
      const state = stateOf(file, key)
      assert.deepEqual([state.status, state.lastError], [status, error])
    })
  }

  test('says who canceled a job that never ran, and why another one waits', () => {
    assert.equal(file.byKey['106']?.metadata.reason, 'CANCELLED by 1004')
    assert.equal(stateOf(file, '106').durationS, null)
    assert.equal(file.byKey['107']?.metadata.reason, 'Dependency')
  })

  test('passes over tasks of an array that have no job yet', () => {
    const skipped = file.found.flatMap((one) => ('skipped' in one ? [one.line] : []))
    assert.deepEqual(skipped, [16])
  })
})

describe('nextflow', async () => {
  const file = await foldFile('nextflow', sample('nextflow.txt'))

  test('makes attempts of a task that was tried again', () => {
    assert.deepEqual(stateOf(file, 'lot 7'), {
      ...{ status: 'succeeded', attempt: 2, lastError: null },
      ...{ queueS: 29.65, durationS: 0.35 },
    })
    assert.deepEqual(earlier(file, 'lot 7'), ['failed'])
    assert.equal(file.byKey['lot 7']?.slots.attempts?.[1]?.error?.text, 'exit code 137')
    assert.equal(file.byKey['lot 7']?.slots.app_name, 'ALIGN')
    assert.equal(file.byKey['lot 7']?.slots.mem_max_mb, 2048)
  })

  test('reads durations in all their units', () => {
    const { durationS, queueS, slots } = file.byKey.INDEX as NonNullable<Folded['byKey'][string]>
    // 2h 3m 4.5s from the submission, of which it ran for 2h.
    assert.deepEqual([durationS, queueS], [7200, 184.5])
    assert.equal(slots.ended_at, '2026-03-01T12:03:04.750000Z')
  })

  test('tells tasks of one name apart, and tries again the one that failed first', async () => {
    const rows = [
      'task_id name status exit attempt submit duration realtime',
      '1 fit FAILED 1 1 2026-03-01T10:00:00 10s 5s',
      '2 fit FAILED 2 1 2026-03-01T10:00:01 10s 5s',
      '3 fit COMPLETED 0 1 2026-03-01T10:00:02 10s 5s',
      '4 fit FAILED 3 2 2026-03-01T10:01:00 10s 5s',
      '5 fit COMPLETED 0 2 2026-03-01T10:01:01 10s 5s',
      '6 fit COMPLETED 0 3 2026-03-01T10:02:00 10s 5s',
      '7 other COMPLETED 0 2 2026-03-01T10:03:00 10s 5s',
      '8 sent FAILED - - 2026-03-01T10:00:09 - -',
      '9 sent FAILED - - - - -',
    ]
    const path = join(freshFolder(), 'trace.txt')
    writeFileSync(path, rows.map((row) => row.replaceAll(' ', '\t')).join('\n'))
    const { jobs } = await foldFile('nextflow', path)
    const said = jobs.map((job) => [
      ...[job.job_key, job.attempt, job.end_status, job.ended_at?.slice(14, 19)],
      Object.values(job.attempts ?? {}).map((entry) => entry?.error?.text),
    ])
    assert.deepEqual(said, [
      ['fit', 3, 'succeeded', '02:10', ['exit code 1', 'exit code 3']],
      ['fit', 2, 'succeeded', '01:11', ['exit code 2']],
      ['fit', 1, 'succeeded', '00:12', []],
      ['other', 2, 'succeeded', '03:10', []],
      ['sent', 1, 'failed', '03:10', []],
      ['sent', 1, 'failed', '03:10', []],
    ])
  })

  test('takes an aborted task for canceled, no earlier than what ended before, and passes over a cached one', () => {
    assert.equal(stateOf(file, 'REPORT').status, 'canceled')
    assert.equal(file.byKey.REPORT?.slots.ended_at, '2026-03-01T12:03:04.750000Z')
    const skipped = file.found.flatMap((one) => ('skipped' in one ? [one.line] : []))
    assert.deepEqual(skipped, [6])
  })
})

describe('htcondor', async () => {
  const file = await foldFile('htcondor', sample('htcondor.txt'))

  test('makes an attempt of a job that was evicted, and none of one that was held', () => {
    assert.deepEqual(stateOf(file, '172.0'), {
      ...{ status: 'succeeded', attempt: 2, lastError: null },
      ...{ queueS: 60, durationS: 840 },
    })
    assert.deepEqual(earlier(file, '172.0'), ['canceled'])
    const { slots, metadata } = file.byKey['172.0'] as NonNullable<Folded['byKey'][string]>
    assert.deepEqual([slots.cpu_user_s, slots.cpu_system_s, slots.mem_max_mb], [62, 1, 156])
    assert.deepEqual([metadata.host, metadata.dag_node], ['10.0.0.8', 'fit'])
  })

  test('reads an event to its end, also over the empty line that newer versions write', () => {
    assert.equal(file.found.filter((one) => 'why' in one && /no event/.test(one.why)).length, 0)
  })

  test('says why a job is held, as long as it is', async () => {
    const found = await readFound('htcondor', sample('htcondor.txt'))
    const reasons = found.flatMap((one) =>
      'event' in one && one.event.event.kind === 'queued' ? [one.event.event.metadata?.reason] : [],
    )
    assert.ok(reasons.includes('held: Error from slot1_1@node8: disk is full'))
    assert.ok(reasons.includes('again after: Job vacated by schedd'))
  })

  test('ends a job that was submitted, started and killed in one second as the file does', () => {
    assert.deepEqual(stateOf(file, '173.0'), {
      ...{ status: 'failed', attempt: 1, lastError: 'signal 9', queueS: 0, durationS: 0 },
    })
    assert.equal(stateOf(file, '173.1').status, 'canceled')
    assert.equal(file.byKey['173.1']?.metadata.reason, 'via condor_rm (by user anna)')
  })
})

describe('the job state log of DAGMan', async () => {
  const file = await foldFile('htcondor', sample('jobstate.txt'))

  test('is a job with its nodes', () => {
    assert.deepEqual(stateOf(file, '4972.0'), {
      ...{ status: 'failed', attempt: 1, lastError: 'exit code 1', queueS: null, durationS: 130 },
    })
    const workflow = file.byKey['4972.0']?.slots.id
    for (const key of ['findrange_ID0000002', 'analyze_ID0000004']) {
      assert.equal(file.byKey[key]?.slots.parent_id, workflow)
    }
  })

  test('has an attempt for each submission of a node', () => {
    const key = 'findrange_ID0000002'
    const { status, attempt, queueS } = stateOf(file, key)
    assert.deepEqual([status, attempt, queueS], ['succeeded', 2, 30])
    assert.deepEqual(earlier(file, key), ['failed'])
    assert.equal(stateOf(file, 'analyze_ID0000004').status, 'canceled')
  })
})

describe('xes', async () => {
  const file = await foldFile('xes', sample('cases.xes'))
  const activity = (caseKey: string, key: string) => {
    const id = file.jobs.find((job) => job.job_key === caseKey)?.id
    return file.subjobs.find((sub) => sub.parent_id === id && sub.sub_key === key)
  }

  test('makes a job of a case, which ends when no activity is open', () => {
    const states = ['R-1', 'R-2', 'R-3'].map((key) => stateOf(file, key).status)
    assert.deepEqual(states, ['succeeded', 'failed', 'running'])
    assert.equal(stateOf(file, 'R-1').durationS, 2700)
    assert.equal(stateOf(file, 'R-2').lastError, 'the case was aborted')
    assert.deepEqual(file.byKey['R-1']?.metadata, { product: 'M&A' })
    assert.equal(file.byKey['R-1']?.slots.app_name, 'Mask repair')
  })

  test('makes an attempt of an activity that was aborted and began again', () => {
    const inspect = activity('R-1', 'inspect')
    assert.equal(inspect?.attempt, 2)
    assert.equal(inspect?.end_status, 'succeeded')
    assert.equal(inspect?.queued_at, at('09:20:00'))
    assert.equal(inspect?.given_started_at, at('09:25:00'))
    const [first] = Object.values(inspect?.attempts ?? {})
    assert.deepEqual([first?.queued_at, first?.end?.status], [at('09:00:00'), 'failed'])
  })

  test('makes a further subjob of an activity that occurs again', () => {
    assert.equal(activity('R-1', 'clean')?.ended_at, at('09:40:00'))
    assert.equal(activity('R-1', 'clean #2')?.ended_at, at('09:45:00'))
    assert.equal(activity('R-3', 'inspect')?.end_status, 'canceled')
  })

  test('keeps what an event says besides', async () => {
    const found = await readFound('xes', sample('cases.xes'))
    const said = found.flatMap((one) => ('event' in one ? [one.event.event.metadata] : []))
    assert.ok(said.some((metadata) => metadata?.resource === 'INS-2' && metadata.layer === 7))
  })
})

describe('openlineage', async () => {
  const file = await foldFile('openlineage', sample('openlineage.ndjson'))
  const child = '0195f3a0-0000-7000-8000-000000000002'

  test('makes a job of a run, and a subjob of one that names its parent once', () => {
    const [job, subjob] = [file.jobs[0], file.subjobs[0]]
    assert.deepEqual([file.jobs.length, file.subjobs.length], [1, 1])
    assert.equal(job?.id, '0195f3a0-0000-7000-8000-000000000001')
    assert.equal(subjob?.parent_id, job?.id)
    assert.equal(job?.job_key, '2026-03-01T09:00:00Z')
    assert.equal(stateOf(file, '2026-03-01T09:00:00Z').status, 'canceled')
  })

  test('makes an attempt of a run that starts again in the second in which it failed', () => {
    const { status, attempt, durationS } = stateOf(file, child)
    assert.deepEqual([status, attempt, durationS], ['succeeded', 2, 60])
    const first = file.byKey[child]?.slots.attempts?.[1]
    assert.deepEqual([first?.end?.status, first?.error?.text], ['failed', 'connection refused'])
  })

  test('a start that comes after the end of its run begins no attempt', async () => {
    const runId = 'f195f3a0-0000-4000-8000-000000000002'
    const line = (eventType: string, second: number) =>
      JSON.stringify({
        ...{ eventType, eventTime: `2026-03-01T10:00:0${second}Z`, run: { runId } },
        job: { namespace: 'etl', name: 'daily' },
      })
    const path = join(freshFolder(), 'runs.ndjson')
    writeFileSync(path, [line('FAIL', 5), line('START', 1)].join('\n'))
    const { status, attempt, durationS } = stateOf(await foldFile('openlineage', path), runId)
    assert.deepEqual([status, attempt, durationS], ['failed', 1, 4])
  })

  test('a run keeps its nominal time as its key, also where its end does not repeat it', async () => {
    const runId = 'f195f3a0-0000-4000-8000-000000000001'
    const nominalTime = { nominalStartTime: '2026-03-01T09:00:00Z' }
    const line = (eventType: string, minute: number, facets: object) =>
      JSON.stringify({
        ...{ eventType, eventTime: `2026-03-01T10:0${minute}:00Z`, run: { runId, facets } },
        job: { namespace: 'etl', name: 'daily' },
      })
    const path = join(freshFolder(), 'runs.ndjson')
    writeFileSync(path, [line('START', 0, { nominalTime }), line('COMPLETE', 1, {})].join('\n'))
    const { byKey } = await foldFile('openlineage', path)
    assert.deepEqual(Object.keys(byKey), ['2026-03-01T09:00:00Z'])
  })
})

describe('otlp-json', async () => {
  const file = await foldFile('otlp-json', sample('spans.ndjson'))

  test('makes a job of the root of a trace, and subjobs of the spans below it', () => {
    assert.deepEqual(stateOf(file, 'download'), {
      ...{ status: 'succeeded', attempt: 1, lastError: null, queueS: null, durationS: 3 },
    })
    assert.deepEqual(stateOf(file, 'fetch'), {
      ...{ status: 'failed', attempt: 1, lastError: 'no answer in 1 s', queueS: null },
      durationS: 1.5,
    })
    assert.equal(file.byKey.fetch?.slots.parent_id, file.byKey.download?.slots.id)
    const { app_name: name, app_version: version } = file.byKey.fetch?.slots ?? {}
    assert.deepEqual([name, version], ['recipe-download', '2.1'])
  })

  test('keeps attributes, links, exceptions and other events', () => {
    const { metadata } = file.byKey.fetch as NonNullable<Folded['byKey'][string]>
    assert.deepEqual(metadata, {
      ...{ recipe: 'M1-CD v8', wafer: 7, host: 'edge3', span_kind: 'client' },
      ...{ error: 'no answer in 1 s', error_type: 'TimeoutError', stack: 'at fetch' },
      ...{ message: 'timeout', span_events: ['retry'] },
    })
    const links = [{ trace_id: '5b8efff798038103d269b633813fc60d', span_id: 'eee19b7ec3c1b175' }]
    assert.deepEqual(file.byKey.download?.metadata.span_links, links)
  })

  test('takes a span without an end for running, and reads a request over several lines', () => {
    assert.equal(stateOf(file, 'upload').status, 'running')
    assert.equal(file.byKey.upload?.slots.given_started_at, at('10:00:00'))
    assert.equal(stateOf(file, 'over {several} lines').status, 'succeeded')
  })
})

describe('csv', async () => {
  const file = await foldFile('csv', sample('lots.csv'), { map: lotColumns })

  test('has attempts, waits, and fields with line breaks and quotation marks', () => {
    assert.deepEqual(stateOf(file, 'L1'), {
      ...{ status: 'succeeded', attempt: 2, lastError: null, queueS: 600, durationS: 600 },
    })
    const first = file.byKey.L1?.slots.attempts?.[1]
    assert.deepEqual([first?.end?.status, first?.error?.text], ['failed', 'edge "ring"\ntoo thick'])
    assert.equal(file.byKey.L1?.slots.metrics?.cd_nm?.[1], 38.25)
    assert.equal(file.byKey.L1?.metadata.route, 'etch, main')
  })

  test('reads the words that tables use', () => {
    const states = ['L2', 'L3', 'L4', 'L6'].map((key) => stateOf(file, key).status)
    assert.deepEqual(states, ['unknown', 'queued', 'running', 'canceled'])
    assert.equal(file.byKey.L2?.metadata.reason, 'the outcome is not known (scrapped)')
    assert.deepEqual(file.byKey.L3?.metadata, { route: 'etch', message: 'no tool' })
  })
})
