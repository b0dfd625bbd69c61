import assert from 'node:assert/strict'
import { after, before, describe, type TestContext, test } from 'node:test'
import { CloudWatchClient, GetMetricStatisticsCommand } from '@aws-sdk/client-cloudwatch'
import { CloudWatchLogsClient, FilterLogEventsCommand } from '@aws-sdk/client-cloudwatch-logs'
import { pino } from 'pino'
import { Outgoing } from '../../src/core/delivery.ts'
import type { Event } from '../../src/core/event.ts'
import { eventId } from '../../src/core/event-id.ts'
import { fromMs } from '../../src/core/time.ts'
import { clock } from '../../src/platform/clock.ts'
import { openSink } from '../../src/sinks/index.ts'
import { needsMoto, startMoto } from '../support/sid.ts'
import { wholeEvent } from '../support/whole-event.ts'
import { startAwsPeer, useTestKeys } from './aws-peer.ts'

useTestKeys()
let moto = { url: '', stop: () => {} }
before(async () => {
  if (needsMoto.skip === false) moto = await startMoto()
})
after(() => moto.stop())

const { signal } = new AbortController()
const sent = (event: Event, seq = 1) => new Outgoing(seq, JSON.stringify(event))
const day = 86_400_000
/** The time so many milliseconds ago. */
const ago = (ms: number) => fromMs(Date.now() - ms)
const recent = (seq: number, more: Partial<Event['event']> = {}) =>
  wholeEvent(seq, { at: ago(60_000), ...more })
const taken = (count: number) => ({ kind: 'judged', verdicts: Array(count).fill('taken') })
const region = 'eu-central-1'

async function open(t: TestContext, config: object = {}, unwanted?: string) {
  const peer = await startAwsPeer(t, moto.url, unwanted)
  const group = `/test/${crypto.randomUUID()}`
  const sink = await openSink(
    {
      ...{ type: 'aws_cloudwatch', name: 'cloudwatch' },
      config: { aws_region: region, endpoint: peer.url, log_group_name: group, ...config },
    },
    { log: pino({ level: 'silent' }) },
  )
  t.after(() => sink.close?.())
  return { peer, sink, group }
}

/** What moto has in a group, in order of time. */
async function readLines(group: string) {
  const client = new CloudWatchLogsClient({ region, endpoint: moto.url })
  const { events = [] } = await client.send(new FilterLogEventsCommand({ logGroupName: group }))
  client.destroy()
  return events.map(({ timestamp, message = '', logStreamName }) => ({
    ...{ timestamp, logStreamName },
    line: JSON.parse(message) as Record<string, unknown>,
  }))
}

describe('a sink of CloudWatch', needsMoto, () => {
  test('stores a line for each event, and makes group and stream', async (t) => {
    const { sink, group } = await open(t, { instance_id: 'i-1:2' })
    const event = recent(1)
    assert.deepEqual(await sink.deliver([sent(event)], signal), taken(1))
    const [found, ...more] = await readLines(group)
    assert.deepEqual(
      [found?.timestamp, found?.logStreamName, more],
      [Date.parse(event.event.at), 'i-1_2', []],
    )
    const { event_id, idempotency_key, app_name, metadata } = found?.line ?? {}
    assert.deepEqual(
      [event_id, idempotency_key, app_name, metadata],
      [eventId(event), event.idempotency_key, 'litho-apc', event.event.metadata],
    )
  })

  test('counts the end of a job, with few labels, and nothing else', async (t) => {
    const namespace = `test/${crypto.randomUUID()}`
    const { peer, sink } = await open(t, { namespace, compute_platform: 'ecs', instance_id: 'i-1' })
    const at = ago(120_000)
    const batch = [1, 2, 3].map((seq) => sent(wholeEvent(seq, { at }), seq))
    batch.push(sent(wholeEvent(4, { at, kind: 'progress', status: 'running' }), 4))
    assert.deepEqual(await sink.deliver(batch, signal), taken(4))
    const dimensions = [
      ...[
        ['site_id', 'fab1'],
        ['app_name', 'litho-apc'],
        ['entity_type', 'subjob'],
        ['status', 'succeeded'],
      ],
      ...[
        ['compute_platform', 'ecs'],
        ['instance_id', 'i-1'],
      ],
    ].map(([Name, Value]) => ({ Name, Value }))
    assert.deepEqual(
      peer.data.map(({ MetricName, Values, Counts }) => [MetricName, Values, Counts]),
      [
        ['jobs', [1], [3]],
        ['duration_s', [1.5], [3]],
        ['cpu_user_s', [0.5], [3]],
        ['cpu_system_s', [0.25], [3]],
        ['mem_max_mb', [100], [3]],
      ],
    )
    const client = new CloudWatchClient({ region, endpoint: moto.url })
    const asked = new GetMetricStatisticsCommand({
      ...{ Namespace: namespace, MetricName: 'duration_s', Dimensions: dimensions, Period: 3600 },
      ...{ StartTime: new Date(Date.now() - day), EndTime: new Date(Date.now() + day) },
      Statistics: ['Sum', 'SampleCount'],
    })
    const { Datapoints = [] } = await client.send(asked)
    client.destroy()
    const sum = Datapoints.reduce((all, { Sum = 0 }) => all + Sum, 0)
    assert.equal(sum, 4.5)
  })

  test('splits what spans 24 hours', async (t) => {
    const { peer, sink, group } = await open(t)
    const hours = [0, 5, 23, 24, 30, 48, 49].reverse()
    const batch = hours.map((hour, i) =>
      sent(wholeEvent(i + 1, { at: ago(hour * 3_600_000 + 60_000) }), i + 1),
    )
    assert.deepEqual(await sink.deliver(batch, signal), taken(hours.length))
    assert.equal((await readLines(group)).length, hours.length)
    assert.ok(peer.operations.filter((name) => name === 'PutLogEvents').length >= 4)
  })

  test('takes events in any order of time', async (t) => {
    const { sink, group } = await open(t)
    const batch = [5, 1, 9, 3].map((minutes, i) =>
      sent(wholeEvent(i + 1, { at: ago(minutes * 60_000) }), i + 1),
    )
    assert.deepEqual(await sink.deliver(batch, signal), taken(4))
    assert.equal((await readLines(group)).length, 4)
  })

  test('finds by itself what would be refused, and names field and limit', async (t) => {
    const { peer, sink } = await open(t)
    const batch = [
      new Outgoing(1, '{"torn'),
      sent(wholeEvent(2, { at: ago(14 * day + 60_000) }), 2),
      sent(wholeEvent(3, { at: ago(-2 * 3_600_000 - 60_000) }), 3),
      sent(recent(4, { metadata: { note: 'x'.repeat(1_048_600) } }), 4),
      new Outgoing(5, JSON.stringify(recent(5)).replace('1.5', '1e999')),
      sent(recent(6, { metrics: { mem_max_mb: 2 ** 361 } }), 6),
      sent(recent(7, { metadata: { note: 'a\0b' } }), 7),
    ]
    const answer = await sink.deliver(batch, signal)
    const found = answer.kind === 'judged' ? answer.verdicts : []
    const fields = found.map((one) => (one as { field: string }).field)
    assert.deepEqual(fields, [
      ...['', 'event.at', 'event.at', '', 'event.metrics.duration_s'],
      ...['event.metrics.mem_max_mb', 'event.metadata.note'],
    ])
    const details = found.map((one) => (one as { detail: string }).detail)
    for (const [i, expected] of [
      /not JSON/,
      /14 days/,
      /2 hours after now/,
      /takes 1048550/,
      /finite|range/,
      /greatest value/,
    ].entries()) {
      assert.match(details[i] ?? '', expected)
    }
    assert.deepEqual(peer.operations, [])
  })

  test('rejects what AWS leaves out because of its own clock, and takes the rest', async (t) => {
    const { sink, group } = await open(t)
    let stepMs = -3_600_000
    const wallMs = () => Date.now() + stepMs
    const monotonicMs = () => 5000
    t.after(clock.use({ wallMs, monotonicMs, uptimeMs: monotonicMs }))
    const old = wholeEvent(1, { at: ago(14 * day + 1_800_000) })
    assert.deepEqual(await sink.deliver([sent(recent(2), 2), sent(old)], signal), {
      kind: 'judged',
      verdicts: ['taken', { field: 'event.at', detail: 'is too old, says CloudWatch Logs' }],
    })
    stepMs = 3_600_000
    const late = wholeEvent(3, { at: ago(-9_000_000) })
    assert.deepEqual(await sink.deliver([sent(late, 3), sent(recent(4), 4)], signal), {
      kind: 'judged',
      verdicts: [{ field: 'event.at', detail: 'is too new, says CloudWatch Logs' }, 'taken'],
    })
    assert.equal((await readLines(group)).length, 2)
  })

  test('sends no line again because its metrics were refused', async (t) => {
    const { peer, sink, group } = await open(t)
    peer.trouble('metrics denied')
    const progress = sent(recent(3, { kind: 'progress', status: 'running' }), 3)
    const batch = [sent(recent(1)), sent(recent(2), 2)]
    for (let i = 0; i < 3; i++) {
      const answer = await sink.deliver(batch, signal)
      assert.deepEqual(answer, {
        ...{ kind: 'failed', permanent: true },
        reason: 'it answered 400 AccessDeniedException: not authorized',
      })
    }
    assert.deepEqual(await sink.deliver([...batch, progress], signal), {
      kind: 'judged',
      verdicts: ['later', 'later', 'taken'],
    })
    peer.trouble(undefined)
    assert.deepEqual(await sink.deliver(batch, signal), taken(2))
    assert.equal((await readLines(group)).length, 3)
    assert.equal(peer.data.filter(({ MetricName }) => MetricName === 'jobs').length, 1)
  })

  test('halves a batch with an event that is refused, and rejects that one alone', async (t) => {
    const { sink, group } = await open(t, {}, recent(2).idempotency_key)
    const batch = [1, 2].map((seq) => sent(recent(seq), seq))
    assert.deepEqual(await sink.deliver(batch, signal), { kind: 'too_large' })
    assert.deepEqual(await sink.deliver(batch.slice(0, 1), signal), taken(1))
    const detail = 'CloudWatch Logs answered InvalidParameterException: a line is not wanted'
    assert.deepEqual(await sink.deliver(batch.slice(1), signal), {
      kind: 'judged',
      verdicts: [{ field: '', detail }],
    })
    assert.equal((await readLines(group)).length, 1)
  })

  test('counts an event once although another request of its batch is refused', async (t) => {
    const { peer, sink } = await open(t, {}, recent(3).idempotency_key)
    // The first fills a request, the other two share one.
    const batch = [700_000, 400_000, 300_000].map((length, i) =>
      sent(recent(i + 1, { metadata: { text: 'x'.repeat(length) } }), i + 1),
    )
    assert.deepEqual(await sink.deliver(batch, signal), {
      kind: 'judged',
      verdicts: ['taken', 'later', 'later'],
    })
    assert.deepEqual(await sink.deliver(batch.slice(1), signal), { kind: 'too_large' })
    assert.deepEqual(await sink.deliver(batch.slice(1, 2), signal), taken(1))
    const jobs = peer.data.filter(({ MetricName }) => MetricName === 'jobs')
    const counted = jobs.flatMap(({ Counts }) => Counts).reduce((sum, count) => sum + count, 0)
    assert.equal(counted, 2)
  })

  test('asks without an event, and makes nothing', async (t) => {
    const { peer, sink } = await open(t)
    assert.equal(await sink.probe?.(signal), undefined)
    assert.deepEqual(peer.operations, ['DescribeLogStreams', 'ListMetrics'])
    peer.trouble('access denied (AccessDeniedException)')
    assert.match((await sink.probe?.(signal)) ?? '', /400 AccessDeniedException: planted/)
  })

  test('takes a batch of 10,000 within every limit', async (t) => {
    const { peer, sink } = await open(t)
    const at = ago(60_000)
    const batch = Array.from({ length: 10_000 }, (_, i) => {
      const event = wholeEvent(i + 1, { at, metrics: { duration_s: i + 0.5 } })
      return sent({ ...event, app: { ...event.app, name: `äpp ${i % 150}` } }, i + 1)
    })
    assert.deepEqual(await sink.deliver(batch, signal), taken(10_000))
    assert.equal(peer.lines.length, 10_000)
    const apps = new Set(
      peer.data.map(({ Dimensions }) => Dimensions?.find(({ Name }) => Name === 'app_name')?.Value),
    )
    assert.equal(apps.size, 101)
    assert.ok(apps.has('other') && apps.has('%C3%A4pp 0'))
    const counted = peer.data.filter(({ MetricName }) => MetricName === 'jobs')
    const jobs = counted.flatMap(({ Counts }) => Counts).reduce((sum, count) => sum + count, 0)
    assert.equal(jobs, 10_000)
  })
})
