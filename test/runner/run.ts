import { globSync } from 'node:fs'
import { run } from 'node:test'
import { spec } from 'node:test/reporters'
import { fileURLToPath } from 'node:url'

/*
 * Runs the tests that `npm test` leaves out, the longest files first. `node --test` takes files by the
 * alphabet: a long one that it comes to last runs alone, while the other lanes have nothing to do.
 *
 *   npm run test:faults [-- WORD]    only the files with WORD in their name
 *   npm run test:faults -- --short   of many of one kind some, see test/support/short-form.ts
 */

/**
 * Files that run at the same time; they share a database server and nothing else. More than the gate has
 * cores: most of them wait for processes, for heartbeats and for what a page does by itself.
 */
const lanes = 5

/** Files that measure how one process keeps up with much work: at the end, by themselves. */
const alone = ['test/faults/ingest-load.test.ts']

/** Those that take longest on two cores, in this order; the rest follow by name. */
const longest = [
  'test/faults/archiver-s3.test.ts',
  'test/faults/spool-commands.test.ts',
  'test/faults/live.test.ts',
  'test/faults/replay.test.ts',
  'test/journey/central.test.ts',
  'test/journey/contract.test.ts',
  'test/journey/first-door.test.ts',
  'test/faults/archiver.test.ts',
  'test/journey/sidecar.test.ts',
  'test/faults/aws-cloudwatch-contract.test.ts',
  'test/faults/archiver-compaction-killed.test.ts',
  'test/faults/archiver-killed.test.ts',
  'test/journey/resend.test.ts',
  'test/faults/event-files-killed.test.ts',
  'test/faults/dashboard-on-screen.test.ts',
  'test/faults/aws-xray-contract.test.ts',
  'test/journey/disorder.test.ts',
  'test/journey/questions.test.ts',
  'test/faults/embedded-postgres.test.ts',
  'test/faults/damaged-spool.test.ts',
  'test/faults/large-job.test.ts',
  'test/journey/spool-sinks.test.ts',
  'test/archive/verify.test.ts',
  'test/faults/disk-matrix.test.ts',
  'test/faults/disk-errors.test.ts',
  'test/faults/archive-s3-rights.test.ts',
  'test/faults/editions.test.ts',
  'test/faults/busy-week.test.ts',
  'test/journey/up.test.ts',
  'test/faults/silence-on-screen.test.ts',
]

function chooseFiles(word: string): string[] {
  const found = globSync('test/{archive,e2e,faults,journey}/*.test.ts').sort()
  const gone = [...longest, ...alone].filter((file) => !found.includes(file))
  if (gone.length > 0) throw new Error(`test/runner/run.ts lists what is not there: ${gone}`)
  const chosen = [...new Set([...longest, ...found])].filter((file) => file.includes(word))
  if (chosen.length === 0) throw new Error(`no file has "${word}" in its name`)
  return chosen
}

const globalSetupPath = fileURLToPath(new URL('../support/global-setup.mjs', import.meta.url))
const ended = new AbortController()
const { signal } = ended
// What runs ends with us.
for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => ended.abort())

/** How long each file took, in seconds. */
const took = new Map<string, number>()

/** Prints what the tests of these files do, and then a summary. */
async function runFiles(files: string[], concurrency: number): Promise<void> {
  if (files.length === 0 || signal.aborted) return
  // Options with a name, because the types of Node.js do not know `globalSetupPath` yet.
  const options = { files, concurrency, globalSetupPath, signal }
  const events = run(options)
  events.on('test:fail', ({ todo }) => {
    if (todo === undefined || todo === false) process.exitCode = 1
  })
  events.on('test:complete', ({ name, file, details }) => {
    // A file is a test as well, with its path as its name.
    if (file?.endsWith(name)) took.set(name, details.duration_ms / 1000)
  })
  for await (const text of events.compose(new spec())) process.stdout.write(text)
}

const args = process.argv.slice(2)
const word = args.find((arg) => arg !== '--short') ?? ''
// For the processes of the tests, which are ours.
if (args.includes('--short')) process.env.TEST_SHORT = '1'
const files = chooseFiles(word)
await runFiles(
  files.filter((file) => !alone.includes(file)),
  lanes,
)
await runFiles(
  files.filter((file) => alone.includes(file)),
  1,
)

console.log('\nlongest files, in seconds:')
const byTime = [...took].sort(([, one], [, other]) => other - one)
for (const [name, seconds] of byTime.slice(0, longest.length)) {
  console.log(`${seconds.toFixed(0).padStart(5)}  ${name}`)
}
