import type { ServerResponse } from 'node:http'
import type { TestContext } from 'node:test'
import {
  checkLogs,
  type Datum,
  findWrongMetrics,
  findWrongSegment,
  type Json,
  type LogEvent,
  operationOf,
  Refused,
  readInput,
  testKeys,
} from './aws-checks.ts'
import { type Asked, brokenAnswers, type Reply, send, startHttpPeer } from './http-peer.ts'

/*
 * A checker in front of moto: it refuses what AWS refuses and moto lets through, and passes the rest on. Limits are those
 * in the descriptions of the official clients.
 */

export type AwsPeer = {
  url: string
  /** Lines that were stored, in order. */
  lines: string[]
  /** Data of metrics that were taken. */
  data: Datum[]
  /** Documents of segments that were taken. */
  segments: Json[]
  /** Operations asked for, in order. */
  operations: string[]
  /** Keys of events that it refused. */
  refused: Set<string>
  trouble(name: string | undefined): void
}

const day = 86_400_000

/** @param unwanted the key of an event that it refuses */
export async function startAwsPeer(
  t: Pick<TestContext, 'after'>,
  moto: string,
  unwanted = 'none',
): Promise<AwsPeer> {
  let trouble: string | undefined
  const { url } = await startHttpPeer(t, async (one, response): Promise<unknown> => {
    const { headers, url: path = '' } = one.request
    const operation = operationOf({ headers, path })
    peer.operations.push(operation)
    const broken = brokenAnswers[trouble ?? ''] ?? answers[trouble ?? '']
    if (broken) return broken(one, response)
    if (trouble === 'metrics denied' && operation === 'PutMetricData') {
      return fail(response, 'AccessDeniedException', 'not authorized')
    }
    try {
      return await pass(operation, one, response)
    } catch (error) {
      if (!(error instanceof Refused)) throw error
      return fail(response, error.type, error.message)
    }
  })

  async function pass(operation: string, one: Asked, response: ServerResponse): Promise<void> {
    const input = readInput({ headers: one.request.headers, body: one.bytes })
    if (operation === 'PutLogEvents') return putLogs(one, input, response)
    if (operation === 'PutMetricData') return putMetrics(one, input, response)
    if (operation === '/TraceSegments') return putSegments(one, input, response)
    // moto knows no sampling rules.
    if (operation === '/GetSamplingRules') return answer(response, { SamplingRuleRecords: [] })
    const { status, body } = await forward(one, input)
    send(response, status, body, withId)
  }

  async function forward({ request }: Asked, input: Json) {
    const headers = new Headers()
    for (const name of ['authorization', 'content-type', 'x-amz-target', 'x-amz-date']) {
      const value = request.headers[name]
      if (value !== undefined) headers.set(name, String(value))
    }
    const { method = 'POST', url: path = '/' } = request
    const answered = await fetch(moto + path, { method, headers, body: JSON.stringify(input) })
    return { status: answered.status, body: await answered.text() }
  }

  /** Passes it on; `note` runs when moto has taken it. */
  async function finish(
    one: Asked,
    input: Json,
    response: ServerResponse,
    more: Json,
    note: () => void,
  ) {
    const { status, body } = await forward(one, input)
    if (status !== 200) return void send(response, status, body, withId)
    note()
    if (trouble === 'an answer that is lost after the commit') return void response.destroy()
    answer(response, { ...(body === '' ? {} : JSON.parse(body)), ...more })
  }

  async function putLogs(one: Asked, input: Json, response: ServerResponse): Promise<void> {
    const events = input.logEvents as LogEvent[]
    checkLogs(events)
    const keys = events.map(({ message }) => JSON.parse(message).idempotency_key)
    if (keys.includes(unwanted)) {
      if (keys.length === 1) peer.refused.add(unwanted)
      throw new Refused('InvalidParameterException', 'a line is not wanted')
    }
    const now = Date.now()
    const old = events.filter(({ timestamp }) => timestamp < now - 14 * day).length
    const late = events.filter(({ timestamp }) => timestamp > now + 2 * 3_600_000).length
    const kept = events.slice(old, events.length - late)
    const info = {
      ...(old > 0 ? { tooOldLogEventEndIndex: old } : {}),
      ...(late > 0 ? { tooNewLogEventStartIndex: events.length - late } : {}),
    }
    const more = old + late > 0 ? { rejectedLogEventsInfo: info } : {}
    // AWS takes a request of which nothing is left.
    if (kept.length === 0) return answer(response, { nextSequenceToken: '1', ...more })
    await finish(one, { ...input, logEvents: kept }, response, more, () =>
      peer.lines.push(...kept.map(({ message }) => message)),
    )
  }

  async function putMetrics(one: Asked, input: Json, response: ServerResponse) {
    const data = input.MetricData as Datum[]
    const wrong = findWrongMetrics(data, JSON.stringify(input))
    if (wrong) throw new Refused('InvalidParameterValue', wrong)
    await finish(one, input, response, {}, () => peer.data.push(...data))
  }

  async function putSegments(one: Asked, input: Json, response: ServerResponse): Promise<void> {
    const documents = input.TraceSegmentDocuments as string[]
    if (documents.length > 50) throw new Refused('InvalidRequestException', 'over 50 documents')
    const read = documents.map((document) => ({ document, segment: JSON.parse(document) as Json }))
    const refused = read.flatMap(({ document, segment }) => {
      const wrong = JSON.stringify(segment).includes(unwanted)
        ? 'not wanted'
        : findWrongSegment(segment, document)
      if (!wrong) return []
      peer.refused.add(keyOf(segment))
      return { Id: segment.id, ErrorCode: 'InvalidSegment', Message: wrong }
    })
    const throttled = trouble === 'some segments throttled' ? read.slice(1) : []
    const unprocessed = [
      ...refused,
      ...throttled.map(({ segment }) => ({ Id: segment.id, ErrorCode: 'ThrottledException' })),
    ]
    const left = read.filter(({ segment }) => unprocessed.every(({ Id }) => Id !== segment.id))
    const passed = { ...input, TraceSegmentDocuments: left.map(({ document }) => document) }
    await finish(one, passed, response, { UnprocessedTraceSegments: unprocessed }, () =>
      peer.segments.push(...left.map(({ segment }) => segment)),
    )
  }

  const peer: AwsPeer = {
    ...{ url, lines: [], data: [], segments: [], operations: [], refused: new Set() },
    trouble: (name) => {
      trouble = name
    },
  }
  return peer
}

const keyOf = (segment: Json) => String((segment.annotations as Json | undefined)?.idempotency_key)

const withId = { 'x-amzn-requestid': '0193581e-7c42-7d10-9a35-6f0c41c2b7e8' }
const answer = (response: ServerResponse, body: unknown) => send(response, 200, body, withId)
const fail = (response: ServerResponse, type: string, message: string) =>
  send(response, 400, { __type: type, message, Message: message }, withId)

const say =
  (body: unknown, headers = withId): Reply =>
  (_, response) =>
    send(response, 200, body, headers)
const failWith =
  (type: string): Reply =>
  (_, response) =>
    fail(response, type, 'planted')

const answers: Readonly<Record<string, Reply>> = {
  'a page of a proxy': say('<h1>Welcome</h1>', { 'content-type': 'text/html' } as never),
  'an empty page of a proxy': say('', {} as never),
  'a page with an id': say('<h1>Welcome</h1>'),
  'a list for an answer': say('[1,2,3]'),
  'deep JSON': say('{"rejectedLogEventsInfo":'.repeat(100_000)),
  '100 MB': say(Buffer.alloc(100_000_000, ' ')),
  'indexes beyond the lines': say({
    rejectedLogEventsInfo: { tooOldLogEventEndIndex: 1000 },
    UnprocessedTraceSegments: Array(1000).fill({ Id: 'abc', ErrorCode: 'x' }),
  }),
  'throttled (ThrottlingException)': failWith('ThrottlingException'),
  'access denied (AccessDeniedException)': failWith('AccessDeniedException'),
  'a key that expired (ExpiredTokenException)': failWith('ExpiredTokenException'),
  'a wrong key (UnrecognizedClientException)': failWith('UnrecognizedClientException'),
  'an error without a type': (_, response) => send(response, 400, '{}', withId),
}

/** Of the statuses those that are not told apart are left out. */
const alike = ['405', '408', '425', '502', '504']

export const troubleNames = [
  ...Object.keys(brokenAnswers).filter((name) => !alike.includes(name)),
  ...Object.keys(answers),
  'an answer that is lost after the commit',
]

/** No test asks the machine for keys. */
export const useTestKeys = () => void Object.assign(process.env, testKeys)
