import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import { gunzipSync } from 'node:zlib'
import { pino } from 'pino'
import { Outgoing } from '../../src/core/delivery.ts'
import type { Event } from '../../src/core/event.ts'
import { fromMs } from '../../src/core/time.ts'
import { openSink } from '../../src/sinks/index.ts'
import { wholeEvent } from '../support/whole-event.ts'
import { useTestKeys } from './aws-peer.ts'
import { send, startHttpPeer } from './http-peer.ts'

useTestKeys()

/*
 * AWS as far as it answers a part of a batch in another way than the rest. Nothing is kept, so it is no moto.
 */

type Json = Record<string, unknown>
/** The answer to an operation, or the name of the error that it is refused with. */
type Answer = (operation: string, input: Json) => Json | string

const { signal } = new AbortController()
const sent = (event: Event, seq: number) => new Outgoing(seq, JSON.stringify(event))
const withId = { 'x-amzn-requestid': '0193581e-7c42-7d10-9a35-6f0c41c2b7e8' }

async function open(t: TestContext, type: string, answer: Answer, config: object = {}) {
  const { url } = await startHttpPeer(t, ({ request, bytes }, response) => {
    const text = request.headers['content-encoding'] === 'gzip' ? gunzipSync(bytes) : bytes
    const operation = String(request.headers['x-amz-target'] ?? request.url).replace(/^.*\./, '')
    const said = answer(operation, JSON.parse(String(text)))
    if (typeof said !== 'string') return send(response, 200, said, withId)
    send(response, 400, { __type: said, message: 'planted', Message: 'planted' }, withId)
  })
  const sink = await openSink(
    { type, name: 'aws', config: { aws_region: 'eu-central-1', endpoint: url, ...config } },
    { log: pino({ level: 'silent' }) },
  )
  t.after(() => sink.close?.())
  return sink
}

/** Ends of jobs, each in a minute of its own: five metrics each, so that two hundred fill a request. */
const ends = (count: number) =>
  Array.from({ length: count }, (_, i) =>
    sent(wholeEvent(i, { at: fromMs(Date.now() - (count - i + 1) * 60_000) }), i + 1),
  )

type Datum = { MetricName: string; Counts: number[] }
const countJobs = (input: Json) =>
  (input.MetricData as Datum[])
    .filter(({ MetricName }) => MetricName === 'jobs')
    .reduce((sum, { Counts }) => sum + Counts.reduce((a, b) => a + b, 0), 0)

describe('a sink of CloudWatch', () => {
  test('counts no job again because another request of its batch was refused', async (t) => {
    let counted = 0
    const sink = await open(t, 'aws_cloudwatch', (operation, input) => {
      if (operation === 'PutLogEvents') return {}
      const jobs = countJobs(input)
      if (jobs < 200) return 'InvalidParameterValue'
      counted += jobs
      return {}
    })
    const batch = ends(210)
    const answer = await sink.deliver(batch, signal)
    const verdicts = answer.kind === 'judged' ? answer.verdicts : []
    assert.deepEqual(verdicts, [...Array(200).fill('taken'), ...Array(10).fill('later')])
    assert.equal(counted, 200)
    assert.deepEqual(await sink.deliver(batch.slice(200), signal), { kind: 'too_large' })
  })

  test('refuses no event because its log group cannot be made', async (t) => {
    const made: string[] = []
    const sink = await open(
      ...([
        t,
        'aws_cloudwatch',
        (operation: string) => {
          made.push(operation)
          const isGroup = operation === 'CreateLogGroup'
          return isGroup ? 'InvalidParameterException' : 'ResourceNotFoundException'
        },
      ] as const),
      { log_group_name: 'aws/reserved' },
    )
    assert.deepEqual(await sink.deliver(ends(1), signal), {
      kind: 'failed',
      reason: 'it answered 400 InvalidParameterException: planted',
    })
    assert.deepEqual(made, ['PutLogEvents', 'CreateLogStream', 'CreateLogGroup'])
  })
})

describe('a sink of X-Ray', () => {
  test('sends no further attempt of a job before the one that comes again', async (t) => {
    const ends: unknown[] = []
    let isThrottled = true
    const sink = await open(t, 'aws_xray', (_, input) => {
      const documents = (input.TraceSegmentDocuments as string[]).map((one) => JSON.parse(one))
      const first = isThrottled ? documents.slice(0, 1) : []
      isThrottled = false
      ends.push(...documents.slice(first.length).map((one) => one.annotations.attempt))
      return {
        UnprocessedTraceSegments: first.map(({ id }) => ({ Id: id, ErrorCode: 'Throttled' })),
      }
    })
    const batch = [1, 2].map((attempt) => {
      const whole = wholeEvent(attempt)
      return sent({ ...whole, entity: { ...whole.entity, id: whole.app.app_id, attempt } }, attempt)
    })
    batch.push(sent(wholeEvent(3), 3))
    assert.deepEqual(await sink.deliver(batch, signal), {
      kind: 'judged',
      verdicts: ['later', 'later', 'taken'],
    })
    const again = await sink.deliver(batch.slice(0, 2), signal)
    assert.deepEqual(again, { kind: 'judged', verdicts: ['taken', 'taken'] })
    assert.deepEqual(ends, [undefined, 1, 2])
  })
})
