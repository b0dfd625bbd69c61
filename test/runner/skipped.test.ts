import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { freshFolder } from '../support/processes.ts'

const run = promisify(execFile)
const reporter = fileURLToPath(new URL('../support/skipped-reporter.mjs', import.meta.url))

async function report(source: string): Promise<string> {
  const file = join(freshFolder(), 'some.test.mjs')
  writeFileSync(file, `import { describe, test } from 'node:test'\n${source}`)
  const args = ['--test', `--test-reporter=${reporter}`, file]
  // The runner of this test marks its children as such; the run below is one of its own.
  const { NODE_TEST_CONTEXT, ...env } = process.env
  return (await run(process.execPath, args, { env })).stdout
}

test('a run counts what it skipped, whole groups too, with the reason', async () => {
  const text = await report(`
    describe('on TimescaleDB', { skip: 'no TimescaleDB' }, () => { test('a'); test('b') })
    test('in a browser', { skip: 'no browser' }, () => {})
    test('runs', () => {})`)
  assert.match(text, /Skipped: 1 groups of tests and 1 single tests/)
  assert.match(text, / {2}no TimescaleDB\n {4}group "on TimescaleDB"\n/)
  assert.match(text, / {2}no browser\n {4}test "in a browser"\n/)
  assert.doesNotMatch(text, /runs/)
  assert.equal(await report(`test('runs', () => {})`), '\nNothing was skipped.\n')
})
