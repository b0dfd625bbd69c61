import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, type TestContext, test } from 'node:test'
import { pino } from 'pino'
import { Outgoing } from '../../src/core/delivery.ts'
import { openSink } from '../../src/sinks/index.ts'
import { freshFolder } from '../support/processes.ts'
import { wholeEvent } from '../support/whole-event.ts'
import { testSink } from './contract.ts'

/* A sink in a worker: whatever the user's code does, it is a failure of this sink alone. */

const { signal } = new AbortController()
const batch = [1, 2].map((seq) => new Outgoing(seq, JSON.stringify(wholeEvent(seq))))

async function openPath(t: Pick<TestContext, 'after'>, path: string, config: object = {}) {
  const sink = await openSink(
    { type: 'module', name: 'own', config: { path, timeout: 2, ...config } },
    { log: pino({ level: 'silent' }) },
  )
  t.after(() => sink.close?.())
  return sink
}

/** A module whose `deliver` has this body. */
function write(body: string): string {
  const path = join(freshFolder(), 'own.mjs')
  const head = `import { appendFileSync, existsSync, readFileSync } from 'node:fs'\n`
  writeFileSync(
    path,
    `${head}export const open = (options) => ({ async deliver(batch) { ${body} } })`,
  )
  return path
}

const wrong: Readonly<Record<string, [body: string, reason: RegExp]>> = {
  'that throws': [`throw new Error('planted')`, /the module failed: planted/],
  'that throws nothing': ['throw undefined', /the module failed: undefined/],
  'that hangs': ['await new Promise(() => {})', /did not answer within 2 s/],
  'that loops': ['for (;;) {}', /did not answer within 2 s/],
  'that ends its process': ['process.exit(1)', /the worker of the module ended/],
  'that fails outside': [
    `setImmediate(() => { throw new Error('late') }); await new Promise(() => {})`,
    /the worker of the module (failed: late|ended)/,
  ],
  'that uses up its memory': [
    'const all = []; for (;;) all.push(new Array(1e6).fill(batch))',
    /the worker of the module|did not answer/,
  ],
}

describe('a module', () => {
  for (const [what, [body, reason]] of Object.entries(wrong)) {
    test(`${what} is a failure of its sink, and the next batch starts it again`, async (t) => {
      const marker = join(freshFolder(), 'healed')
      const healed = `if (existsSync('${marker}')) return { kind: 'judged', verdicts: batch.map(() => 'taken') };`
      const sink = await openPath(
        t,
        write(`${healed} ${body}`),
        what === 'that uses up its memory' ? { timeout: 60 } : {},
      )
      const answer = await sink.deliver(batch, signal)
      assert.match(answer.kind === 'failed' ? answer.reason : answer.kind, reason)
      writeFileSync(marker, '')
      assert.equal((await sink.deliver(batch, signal)).kind, 'judged')
    })
  }

  for (const [what, body] of [
    ['too few verdicts', `return { kind: 'judged', verdicts: ['taken'] }`],
    ['a number', 'return 1_000_000'],
    ['nothing', ''],
    ['something that cannot be sent', 'return { kind: () => {} }'],
  ] as const) {
    test(`that answers with ${what} is not believed`, async (t) => {
      const sink = await openPath(t, write(body))
      const answer = await sink.deliver(batch, signal).catch((error: Error) => error)
      const isFailure = answer instanceof Error || answer.kind === 'failed'
      assert.ok(isFailure, JSON.stringify(answer))
    })
  }

  for (const [what, text, reason] of [
    ['exports nothing', '', /it exports no function named open/],
    ['does not parse', 'export const', /the module failed/],
    ['opens nothing', 'export const open = () => 1', /its open returns no object/],
  ] as const) {
    test(`that ${what} is a failure that says so`, async (t) => {
      const path = join(freshFolder(), 'own.mjs')
      writeFileSync(path, text)
      const answer = await (await openPath(t, path)).deliver(batch, signal)
      assert.match(answer.kind === 'failed' ? answer.reason : '', reason)
    })
  }

  test('that is the example of the documentation works', async (t) => {
    const file = join(freshFolder(), 'lines')
    const path = 'examples/integrations/module-sink.mjs'
    const sink = await openPath(t, path, { options: { file } })
    const answer = await sink.deliver(batch, signal)
    assert.deepEqual(answer, { kind: 'judged', verdicts: ['taken', 'taken'] })
    const line = '2026-03-01T12:00:00.000000Z litho-apc finished\n'
    assert.equal(readFileSync(file, 'utf8'), line.repeat(2))
  })
})

testSink({
  name: 'a module',
  troubles: ['an error', 'too few verdicts', 'an end of its process', 'all later'],
  hangs: 'no answer',
  open: async (t) => {
    const dir = freshFolder()
    const [taken, mood] = [join(dir, 'taken'), join(dir, 'mood')]
    writeFileSync(taken, '')
    writeFileSync(mood, '')
    const { deliver } = await openPath(
      t,
      write(`
        const mood = readFileSync('${mood}', 'utf8')
        if (mood === 'an error') throw new Error('planted')
        if (mood === 'too few verdicts') return { kind: 'judged', verdicts: [] }
        if (mood === 'an end of its process') process.exit(3)
        if (mood === 'all later') return { kind: 'judged', verdicts: batch.map(() => 'later') }
        if (mood === 'no answer') await new Promise(() => {})
        for (const { body } of batch) appendFileSync('${taken}', JSON.parse(body).n + '\\n')
        return { kind: 'judged', verdicts: batch.map(() => 'taken') }`),
      { timeout: 20 },
    )
    return {
      deliver,
      trouble: (name) => writeFileSync(mood, name ?? ''),
      get took() {
        return new Set(readFileSync(taken, 'utf8').split('\n').map(Number))
      },
      refused: new Set<number>(),
    }
  },
})
