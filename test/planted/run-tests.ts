import { appendFileSync } from 'node:fs'
import { run } from 'node:test'
import fc from 'fast-check'
import { escapePattern } from './plant.ts'

/*
 * Runs tests of files and writes down what became of each, a line of JSON per test. A program of its
 * own, whose errors it sees as they were thrown: RESULTS FILE,FILE... [SUITE > TEST...]
 */

/** The outcome of a test. */
export type Outcome = {
  /** `suite > test`. */
  name: string
  /** Missing: there is no such test, or it did not come to an end. */
  result: 'passed' | 'skipped' | 'failed' | 'missing'
  /** True when it failed by an assertion, or by waiting in vain. */
  asserted: boolean
  /** Why it failed. */
  why: string
}

type Failure = { message?: string; code?: string; cause?: unknown }

/** Longest that a test may take, in milliseconds. */
const timeout = 90_000

async function main(results: string, files: string[], names: readonly string[]): Promise<void> {
  // One counterexample will do: to make it small takes a minute where a database is asked.
  fc.configureGlobal({ endOnFailure: true })
  const full = names.map((name) => escapePattern(name.replaceAll(' > ', ' ')))
  const testNamePatterns = full.map((name) => new RegExp(`^${name}$`))
  const path: string[] = []
  // No pattern at all lets every test run.
  const chosen = names.length > 0 ? { testNamePatterns } : {}
  const events = run({ files, isolation: 'none', ...chosen, timeout })
  for await (const { type, data } of events) {
    if (type === 'test:start') path.splice(data.nesting, Infinity, data.name)
    if (type !== 'test:pass' && type !== 'test:fail') continue
    if (data.details.type === 'suite') continue
    const causes = type === 'test:fail' ? causesOf(data.details.error) : []
    const outcome: Outcome = {
      name: [...path.slice(0, data.nesting), data.name].join(' > '),
      result: type === 'test:fail' ? 'failed' : data.skip === undefined ? 'passed' : 'skipped',
      asserted: causes.some(isAssertion),
      why: causes.map(({ message = '' }) => message).join('\n'),
    }
    appendFileSync(results, `${JSON.stringify(outcome)}\n`)
  }
}

/** The error of the runner, what the test threw, and what that was caused by. */
function causesOf(error: unknown): Failure[] {
  if (typeof error !== 'object' || error === null) return []
  return [error, ...causesOf((error as Failure).cause)]
}

const isAssertion = ({ code, message = '' }: Failure) =>
  code === 'ERR_ASSERTION' || /^waited [\d.]+ s in vain /.test(message)

const [results = '', files = '', ...names] = process.argv.slice(2)
await main(results, files.split(','), names)
// Handles that a bug left open must not keep the run waiting.
process.exit()
