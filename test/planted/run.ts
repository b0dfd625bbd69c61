import { startTestServer } from '../support/own-server.ts'
import { bugs } from './bugs.ts'
import { Copy } from './copy.ts'
import type { Bug } from './plant.ts'
import type { Outcome } from './run-tests.ts'

/*
 * Proves that the tests notice: plants each bug alone in a copy of the sources, and it must turn its test
 * red. That the test is green without the bug is seen first, in the same run, unless all tests of this tree
 * have just passed.
 *
 *   npm run test:planted [-- WORD]     only the bugs with WORD in their name
 *   npm run test:planted -- --short    one bug of every second test file; all tests have passed
 */

/**
 * Copies worked on at the same time; their tests share a database server and nothing else. Twice as many
 * as the gate has cores: with a bug, many a test waits in vain until it gives up.
 */
const lanes = 3

/** The outcome of the test of a bug: it should be `red`. */
type Verdict = { color: 'red' | 'green' | 'broken'; why: string }

async function main(word: string, isShort: boolean): Promise<boolean> {
  const named = bugs.filter(({ name }) => name.includes(word))
  const isFirst = (bug: Bug) => named.find(({ test }) => test[0] === bug.test[0]) === bug
  const chosen = isShort ? named.filter(isFirst).filter((_, i) => i % 2 === 0) : named
  if (chosen.length === 0) {
    console.error(`no planted bug has "${word}" in its name`)
    return false
  }
  const began = performance.now()
  const server = await startTestServer()
  try {
    const copies = Array.from({ length: lanes }, () => new Copy(server.url))
    const sound = isShort ? allPassed(chosen) : await testsWithoutBugs(chosen, copies)
    const verdicts = await inLanes(chosen, copies, async (bug, copy) => {
      const startedAt = performance.now()
      const verdict = await verdictOn(bug, copy, sound)
      console.log(row(bug, verdict, secondsSince(startedAt)))
      return verdict
    })
    const noticed = verdicts.filter(({ color }) => color === 'red').length
    console.log(`${noticed} of ${chosen.length} bugs noticed, in ${secondsSince(began)} s`)
    return noticed === chosen.length
  } finally {
    await server.stop()
  }
}

const secondsSince = (startedAt: number) => ((performance.now() - startedAt) / 1000).toFixed(1)

/** The outcome of every test with unchanged sources. */
async function testsWithoutBugs(chosen: readonly Bug[], copies: readonly Copy[]) {
  const files = new Map<string, Bug[]>()
  for (const bug of chosen) files.set(bug.test[0], [...(files.get(bug.test[0]) ?? []), bug])
  const found = await inLanes([...files], copies, async ([file, group], copy) => {
    if (group.some(({ built }) => built)) await copy.build()
    return copy.runTests(file, [...new Set(group.map(({ test }) => test[1]))])
  })
  return new Map(found.flatMap((outcomes) => [...outcomes]))
}

/** The same where they have passed just now. One that was skipped there is no proof with its bug either. */
const allPassed = (chosen: readonly Bug[]): ReadonlyMap<string, Outcome> =>
  new Map(
    chosen.map(({ test: [, name] }) => [
      name,
      { name, result: 'passed', asserted: false, why: '' },
    ]),
  )

async function verdictOn(
  bug: Bug,
  copy: Copy,
  sound: ReadonlyMap<string, Outcome>,
): Promise<Verdict> {
  const [file, name] = bug.test
  const before = sound.get(name)!
  if (before.result !== 'passed') return broken(`${before.result} without the bug: ${before.why}`)
  try {
    return await copy.withBug(bug, async () => {
      if (bug.built) await copy.build()
      const run = async () => judge(bug, (await copy.runTests(file, [name])).get(name)!)
      const verdict = await run()
      // Random input may miss it once; the row says so, for it is better noticed by a case of its own.
      if (verdict.color !== 'green') return verdict
      const second = await run()
      return { ...second, why: second.color === 'red' ? 'at the second run' : second.why }
    })
  } catch (error) {
    return broken((error as Error).message)
  }
}

/** Red counts only for the reason that was meant: a crash proves nothing about a test. */
function judge({ says }: Bug, { result, asserted, why }: Outcome): Verdict {
  if (result === 'passed') return { color: 'green', why: 'the test did not notice' }
  const meant = result === 'failed' && (says === undefined ? asserted : why.includes(says))
  return meant ? { color: 'red', why: '' } : broken(`${result}, not by an assertion: ${why}`)
}

const broken = (why: string): Verdict => ({ color: 'broken', why })

function row({ name, why: cost, test }: Bug, { color, why }: Verdict, seconds: string): string {
  const head = `${color.padEnd(6)} ${seconds.padStart(5)} s  ${name.padEnd(58)}  ${test.join(': ')}`
  if (color === 'red') return why === '' ? head : `${head} (${why})`
  return `${head}\n  at stake: ${cost}\n  ${why.replaceAll('\n', '\n  ')}`
}

/** Does `work` on every item, one at a time in each copy. Answers come in the order of the items. */
async function inLanes<T, R>(
  items: readonly T[],
  copies: readonly Copy[],
  work: (item: T, copy: Copy) => Promise<R>,
): Promise<R[]> {
  const answers: R[] = []
  const queue = items.entries()
  const lane = async (copy: Copy) => {
    for (const [index, item] of queue) answers[index] = await work(item, copy)
  }
  await Promise.all(copies.map(lane))
  return answers
}

for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(130))

const [word = ''] = process.argv.slice(2)
const isShort = word === '--short'
process.exitCode = (await main(isShort ? '' : word, isShort)) ? 0 : 1
