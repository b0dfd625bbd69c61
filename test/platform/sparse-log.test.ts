import assert from 'node:assert/strict'
import { test } from 'node:test'
import { AppError } from '../../src/core/errors.ts'
import { answerError } from '../../src/platform/answer.ts'
import { createLog } from '../../src/platform/log.ts'

type Line = { event: string; detail?: string; times?: number; endpoint: string }

test('refusals are logged at most once a second a kind, and the others are counted', (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  const written: Line[] = []
  const destination = { write: (line: string) => void written.push(JSON.parse(line)) }
  const log = createLog({ service: 'sidecar', level: 'info', json: true, destination })
  const refuse = (n: number, endpoint = '/v1/ingest/events') =>
    answerError(new AppError('unavailable', `full ${n}`), endpoint, log)
  const shown = () => written.splice(0).map(({ detail, times }) => [detail, times])

  for (let n = 1; n <= 1000; n++) refuse(n)
  refuse(1, '/v1/jobs')
  assert.deepEqual(shown(), [
    ['full 1', undefined],
    ['full 1', undefined],
  ])
  t.mock.timers.tick(1000)
  assert.deepEqual(shown(), [['full 1000', 999]])
  refuse(1001)
  assert.deepEqual(shown(), [])
  t.mock.timers.tick(1000)
  assert.deepEqual(shown(), [['full 1001', 1]])
  t.mock.timers.tick(1000)
  refuse(1002)
  assert.deepEqual(shown(), [['full 1002', undefined]])

  for (let n = 1; n <= 1000; n++) answerError(new TypeError(`bug ${n}`), '/v1/jobs', log)
  assert.equal(written.splice(0).length, 1)
})
