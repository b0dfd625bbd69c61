import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { fromMs } from '../../src/core/time.ts'
import { judge } from '../../src/sinks/aws-cloudwatch/judge.ts'
import { type Line, toLine, toRequests } from '../../src/sinks/aws-cloudwatch/lines.ts'
import { MetricRequests, toDimension } from '../../src/sinks/aws-cloudwatch/metric-data.ts'
import { readEntries } from '../../src/sinks/read-entries.ts'
import { wholeEvent } from '../support/whole-event.ts'
import { runs } from '../support/wild.ts'

/* What of the sink of CloudWatch needs no destination. */

const day = 86_400_000

describe('lines of CloudWatch Logs', () => {
  const nowMs = Date.parse('2026-03-15T00:00:00Z')
  const lineAt = (ms: number, size = 0): Line => ({
    ...(toLine(wholeEvent(1, { at: fromMs(ms) }), nowMs) as Line),
    ...(size > 0 ? { bytes: size } : {}),
  })

  test('are in order, span less than 24 hours, and stay under the limits of a request', () => {
    const offsets = fc.array(fc.integer({ min: 0, max: 13 * day }), { maxLength: 40 })
    fc.assert(
      fc.property(offsets, fc.integer({ min: 100, max: 600_000 }), (offset, size) => {
        const lines = offset.map((ms) => lineAt(nowMs - ms, size))
        const requests = toRequests(lines)
        assert.equal(requests.flat().length, lines.length)
        for (const request of requests) {
          const times = request.map(({ timestamp }) => timestamp)
          assert.deepEqual(
            times,
            times.toSorted((a, b) => a - b),
          )
          assert.ok((times.at(-1) ?? 0) - (times[0] ?? 0) < day)
          assert.ok(request.reduce((sum, { bytes }) => sum + bytes, 0) <= 1_048_576)
          assert.ok(request.length > 0)
        }
      }),
      { numRuns: runs(200) },
    )
  })

  test('are at most 10,000 a request', () => {
    const sizes = toRequests(Array(20_001).fill(lineAt(nowMs, 30))).map(({ length }) => length)
    assert.deepEqual(sizes, [10_000, 10_000, 1])
  })
})

describe('metrics of CloudWatch', () => {
  test('have at most 150 values a datum and 1000 data a request, and lose none', () => {
    const nowMs = Date.now()
    const lines = Array.from({ length: 3000 }, (_, i) => {
      const event = wholeEvent(i, {
        at: fromMs(nowMs - (i % 700) * 60_000),
        metrics: { duration_s: i },
      })
      return toLine(event, nowMs) as Line
    })
    const requests = new MetricRequests({}).make(lines)
    assert.ok(requests.length > 1)
    for (const { data } of requests) {
      assert.ok(data.length <= 1000)
      assert.ok(data.every(({ Values }) => Values.length <= 150))
    }
    const values = requests.flatMap(({ data }) =>
      data.filter(({ MetricName }) => MetricName === 'duration_s').flatMap(({ Values }) => Values),
    )
    assert.deepEqual(
      values.sort((a, b) => a - b),
      Array.from({ length: 3000 }, (_, i) => i),
    )
    assert.equal(requests.flatMap((request) => request.lines).length, 3000)
  })

  test('have labels of printable ASCII, whatever the names are', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', minLength: 1 }), (name) => {
        assert.match(toDimension(name), /^(?=.*[!-~])[ -~]{1,1024}$/)
      }),
      { numRuns: runs(300) },
    )
    assert.equal(toDimension('ätzen 100%'), '%C3%A4tzen 100%25')
  })

  test('are zero where they are too small', () => {
    const event = wholeEvent(1, { at: fromMs(Date.now()), metrics: { duration_s: 1e-300 } })
    const [request] = new MetricRequests({}).make([toLine(event, Date.now()) as Line])
    assert.deepEqual(request?.data[1]?.Values, [0])
  })
})

describe('an answer of CloudWatch Logs', () => {
  test('refuses lines before an index, and from an index on', () => {
    const refused = judge(
      { tooOldLogEventEndIndex: 1, expiredLogEventEndIndex: 2, tooNewLogEventStartIndex: 4 },
      6,
    )
    assert.ok(refused instanceof Map)
    assert.deepEqual(
      [...refused].sort(([a], [b]) => a - b).map(([at, { detail }]) => `${at} ${detail}`),
      [
        '0 is too old, says CloudWatch Logs',
        '1 is older than the log group keeps events',
        '4 is too new, says CloudWatch Logs',
        '5 is too new, says CloudWatch Logs',
      ],
    )
  })

  test('is a failure when its indexes do not fit', () => {
    const index = fc.oneof(fc.integer({ min: -2, max: 5 }), fc.double(), fc.constant(undefined))
    fc.assert(
      fc.property(index, index, index, (old, expired, late) => {
        const info = {
          ...{ tooOldLogEventEndIndex: old, expiredLogEventEndIndex: expired },
          tooNewLogEventStartIndex: late,
        }
        const judged = judge(info, 3)
        const given = [old ?? 0, expired ?? 0, late ?? 3]
        const fits =
          given.every((one) => Number.isInteger(one) && one >= 0 && one <= 3) &&
          Math.max(old ?? 0, expired ?? 0) <= (late ?? 3)
        assert.equal(judged instanceof Map, fits)
      }),
      { numRuns: runs(300) },
    )
  })
})

describe('the settings of aws_cloudwatch', () => {
  const read = (config: object) =>
    readEntries([{ type: 'aws_cloudwatch', name: 'c', config }], {}).problems

  test('are those of the earlier system', () => {
    const config = {
      ...{
        aws_region: 'us-east-1',
        log_group_name: '/aws/wafer-monitor',
        namespace: 'WaferMonitor',
      },
      ...{ compute_platform: 'lambda', instance_id: 'i-0abc' },
    }
    assert.deepEqual(read(config), [])
  })

  test('are refused by name, with the remedy', () => {
    const problems = read({
      ...{ aws_region: 'Frankfurt', log_group_name: 'a b', namespace: 'AWS/EC2' },
      ...{ compute_platform: 'ä', instance_id: ' ' },
    }).join('\n')
    for (const name of [
      ...['aws_region', 'log_group_name', 'namespace', 'compute_platform', 'instance_id'],
    ]) {
      assert.match(problems, new RegExp(`sink c: ${name}: must be`))
    }
  })
})
