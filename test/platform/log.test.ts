import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { Lifecycle } from '../../src/platform/lifecycle.ts'
import { createLog } from '../../src/platform/log.ts'
import { runMaintenance } from '../../src/store/maintenance.ts'
import { until } from '../support/processes.ts'

/* The log is read by machines: docs/configuration.md says what they may count on. */

type Line = Record<string, unknown> & { error?: Record<string, unknown> }

/** A log at its lowest level, and what it has written. */
function listening(json = true) {
  const written: string[] = []
  const destination = { write: (line: string) => void written.push(line) }
  const log = createLog({ service: 'sidecar', level: 'trace', json, destination })
  return { log, written, lines: () => written.map((line) => JSON.parse(line) as Line) }
}

function assertError({ error }: Line, type: string, message: RegExp): void {
  assert.equal(error?.type, type)
  assert.match(String(error?.message), message)
  assert.match(String(error?.stack), /\n +at /)
}

describe('a line of the log', () => {
  test('is one JSON object with event, timestamp, level and service, and then its fields', () => {
    const { log, written, lines } = listening()
    log.info({ batch_size: 500 }, 'two\nlines')
    assert.match(written[0] ?? '', /^[^\n]*\n$/)
    const { timestamp, ...rest } = lines()[0]!
    assert.match(String(timestamp), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/)
    assert.deepEqual(rest, {
      ...{ event: 'two\nlines', level: 'info', service: 'sidecar', batch_size: 500 },
    })
  })

  test('has its level as a word', () => {
    const { log, lines } = listening()
    const levels = ['trace', 'debug', 'info', 'warn', 'error', 'fatal'] as const
    for (const level of levels) log[level]('said')
    assert.deepEqual(
      lines().map(({ level }) => level),
      levels,
    )
  })

  test('has an error as type, message and stack, given as a field or alone', () => {
    const { log, lines } = listening()
    const error = new RangeError('too far')
    log.error({ error }, 'request failed')
    log.error(error, 'request failed')
    for (const line of lines()) {
      assert.equal(line.event, 'request failed')
      assertError(line, 'RangeError', /^too far$/)
    }
  })

  test('for people has the same, without JSON', () => {
    const { log, written } = listening(false)
    log.warn({ batch_size: 500, error: new Error('too far') }, 'said')
    assert.match(written[0] ?? '', /^\S+Z WARN {2}sidecar {2}said {2}batch_size=500 {2}error=Error/)
  })

  test('about what could not be closed has the error', async (t) => {
    const { log, lines } = listening()
    const before = process.exitCode
    t.after(() => {
      process.exitCode = before
    })
    const life = new Lifecycle(log)
    life.onStop('spool', () => Promise.reject(new RangeError('disk gone')))
    await life.stop(5)
    const line = lines().find(({ event }) => event === 'could not close cleanly')!
    assert.equal(line.resource, 'spool')
    assertError(line, 'RangeError', /^disk gone$/)
  })

  test('about maintenance that cannot reach the database has the error', async () => {
    const { log, lines } = listening()
    const stop = new AbortController()
    const maintenance = runMaintenance('postgres://wafermon@127.0.0.1:1/none', {
      ...{ log, signal: stop.signal, freezeAfterHours: 48, liveKeepHours: 24, everyMs: 30 },
      ...{ archive: true, retentionHours: 72 },
    })
    const line = await until('the line', () => lines()[0])
    stop.abort()
    await maintenance.done
    assert.equal(line.event, 'maintenance could not start')
    assertError(line, 'AppError', /\w/)
  })

  test('names an error `error` and nothing else, wherever it is written', () => {
    const source = fileURLToPath(new URL('../../src', import.meta.url))
    const files = readdirSync(source, { recursive: true, encoding: 'utf8' })
    const code = files.filter((name) => /\.tsx?$/.test(name))
    assert.ok(code.length > 50, `only ${code.length} files were found`)
    const logsErr = /\blog\.\w+\(\s*\{[^}]*\b(err|e)\b(?!\.)/
    const wrong = code.filter((name) => logsErr.test(readFileSync(join(source, name), 'utf8')))
    assert.deepEqual(wrong, [])
  })
})
