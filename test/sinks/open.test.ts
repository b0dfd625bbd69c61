import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { pino } from 'pino'
import * as z from 'zod'
import { ConfigError } from '../../src/core/errors.ts'
import { openSink, sinkKinds } from '../../src/sinks/index.ts'
import { defineSink } from '../../src/sinks/kind.ts'

const context = { log: pino({ level: 'silent' }) }
type Entry = Parameters<typeof openSink>[0]
const entry = (config: Record<string, unknown>, more: Partial<Entry> = {}): Entry => ({
  type: 'local_api',
  name: 'fab',
  config,
  ...more,
})

/** The error of an entry. */
async function problemsOf(wrong: Entry): Promise<readonly string[]> {
  try {
    await openSink(wrong, context)
  } catch (error) {
    assert.ok(error instanceof ConfigError)
    assert.equal(error.message, error.problems.join('\n  '))
    return error.problems
  }
  return []
}

describe('the entry of a sink', () => {
  test('opens a sink with its name and the limits of its kind', async () => {
    const sink = await openSink(
      entry({ base_url: 'http://127.0.0.1:1', token: undefined }),
      context,
    )
    const kind = sinkKinds.find(({ type }) => type === 'local_api')
    assert.deepEqual([sink.name, sink.limits], ['fab', kind?.limits])
  })

  test('is refused with every problem: entry, setting and remedy', async () => {
    const config = { base_url: 'ftp://x', timeout: 0, retries: 3, bse_url: 'http://x' }
    assert.deepEqual(await problemsOf(entry(config)), [
      'sink fab: base_url: must be a URL such as http://host:port, without user, query or fragment',
      'sink fab: timeout: must be a number from 0.1 to 600 s',
      'sink fab: retries: no such setting; check the spelling',
      'sink fab: bse_url: no such setting; check the spelling',
    ])
    assert.match((await problemsOf(entry({})))[0] ?? '', /^sink fab: base_url: must be a URL/)
  })

  test('is refused without showing a secret', async () => {
    const [problem, ...more] = await problemsOf(entry({ base_url: 'http://x', token: 'hun ter2' }))
    assert.match(problem ?? '', /^sink fab: token: must be one word of ASCII characters/)
    assert.deepEqual([more, /hun|ter2/.test(problem ?? '')], [[], false])
  })

  test('is refused when there is no such kind, with the kinds that there are', async () => {
    const known = sinkKinds.map(({ type }) => type).join(', ')
    assert.deepEqual(await problemsOf(entry({}, { type: 'zabbx' })), [
      `sink fab: type: there is no zabbx; must be one of ${known}`,
    ])
  })

  test('opens a kind from its settings as they were read, whatever the list has', async () => {
    const limits = { events: 3, bytes: 1000 }
    const kind = defineSink({
      type: 'planted',
      about: 'Nowhere.',
      settings: z.strictObject({ factor: z.coerce.number() }),
      limits,
      ordered: true,
      open: ({ factor }) => ({
        deliver: async () => ({ kind: 'failed', reason: `${factor * 2}` }),
      }),
    })
    const sink = await openSink(entry({ factor: '21' }, { type: 'planted' }), context, [kind])
    const answer = await sink.deliver([], new AbortController().signal)
    assert.deepEqual([answer, sink.limits], [{ kind: 'failed', reason: '42' }, limits])
  })
})

describe('the list of kinds', () => {
  test('names each once, and describes each setting', () => {
    assert.equal(new Set(sinkKinds.map(({ type }) => type)).size, sinkKinds.length)
    for (const { settings } of sinkKinds) {
      const { properties = {} } = z.toJSONSchema(settings, { unrepresentable: 'any', io: 'input' })
      for (const [name, field] of Object.entries(properties)) {
        assert.ok((field as { description?: string }).description, name)
      }
    }
  })
})
