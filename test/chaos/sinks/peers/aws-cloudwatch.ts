import { appendFileSync, existsSync, readFileSync } from 'node:fs'
import { checkLogs, findWrongMetrics, operationOf, readInput } from '../../../sinks/aws-checks.ts'
import { type Request, runPeer } from '../peer.ts'
import type { Seen } from '../seen.ts'
import { answerHeaders, garbageOf } from './aws.ts'

/*
 * CloudWatch as far as counting goes: lines are known by their event_id, as its readers know them; of metrics it
 * notes how many jobs they count, and of how many the caller may not have heard. It checks what the checker before
 * moto checks, and keeps what it has when it is killed, as moto does not.
 */

type Line = Record<'event_id' | 'idempotency_key' | 'source_epoch' | 'entity_id', string> & {
  parent_id?: string
  source_seq: number
}
type LogEvent = { timestamp: number; message: string }
type Datum = { MetricName: string; Counts: number[] }
type Names = { logGroupName: string; logStreamName: string }

const day = 86_400_000

function toSeen({ timestamp, message }: LogEvent): Seen {
  const now = Date.now()
  if (timestamp < now - 14 * day || timestamp > now + day / 12) throw new Error('a wrong time')
  const line = JSON.parse(message) as Line
  return {
    ...{ id: line.event_id, key: line.idempotency_key, epoch: line.source_epoch },
    ...{ seq: line.source_seq, job: line.parent_id ?? line.entity_id },
  }
}

const isLogs = (request: Omit<Request, 'body'>) => operationOf(request) === 'PutLogEvents'
const isMetrics = (request: Omit<Request, 'body'>) => operationOf(request) === 'PutMetricData'

const fail = (type: string) => ({ status: 400, body: { __type: type, message: 'planted' } })

runPeer(({ journal }) => {
  const madeFile = `${journal}.made`
  const made = new Set(existsSync(madeFile) ? readFileSync(madeFile, 'utf8').split('\n') : [])
  const make = (name: string) => {
    if (made.has(name)) return fail('ResourceAlreadyExistsException')
    appendFileSync(madeFile, `${name}\n`)
    made.add(name)
    return { status: 200 }
  }
  let half = 0

  return {
    isEvents: (request) => isLogs(request) || isMetrics(request),
    headers: answerHeaders,
    before(request) {
      if (!isLogs(request)) return undefined
      const { logGroupName, logStreamName } = readInput(request) as Names
      return made.has(`${logGroupName} ${logStreamName}`)
        ? undefined
        : fail('ResourceNotFoundException')
    },
    read(request) {
      const input = readInput(request)
      if (isMetrics(request)) {
        const wrong = findWrongMetrics(input.MetricData as never, JSON.stringify(input))
        if (wrong) throw new Error(`metrics with ${wrong}`)
        return []
      }
      const lines = input.logEvents as LogEvent[]
      checkLogs(lines)
      return lines.map(toSeen)
    },
    commit(request) {
      if (!isMetrics(request)) return undefined
      const data = readInput(request).MetricData as Datum[]
      const counts = data.flatMap(({ MetricName, Counts }) => (MetricName === 'jobs' ? Counts : []))
      const jobs = counts.reduce((sum, count) => sum + count, 0)
      appendFileSync(`${journal}.metrics`, `+${jobs}\n`)
      return () => appendFileSync(`${journal}.metrics`, `-${jobs}\n`)
    },
    other(request) {
      const { logGroupName, logStreamName } = readInput(request) as Names
      if (operationOf(request) === 'CreateLogGroup') return make(logGroupName)
      if (operationOf(request) !== 'CreateLogStream') return fail('UnknownOperationException')
      if (!made.has(logGroupName)) return fail('ResourceNotFoundException')
      return make(`${logGroupName} ${logStreamName}`)
    },
    // AWS leaves out the lines before an index, or from one on.
    takesHalf(count, turn) {
      half = Math.ceil(count / 2)
      return Array.from({ length: count }, (_, i) => (turn === 0 ? i >= half : i < count - half))
    },
    answer(_, taken) {
      if (!taken.includes(false)) return { status: 200, body: {} }
      const info =
        taken[0] === false && taken.at(-1) === true
          ? { tooOldLogEventEndIndex: half }
          : { tooNewLogEventStartIndex: taken.length - half }
      return { status: 200, body: { rejectedLogEventsInfo: info } }
    },
    tooLarge: ({ length }) => (length > 5 ? { status: 413 } : undefined),
    garbage: (request) =>
      isLogs(request)
        ? garbageOf('{"rejectedLogEventsInfo":{"tooOldLogEventEndIndex":1000000}}')
        : garbageOf(),
  }
})
