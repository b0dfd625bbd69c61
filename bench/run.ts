import { Command, InvalidArgumentError } from 'commander'
import { archive } from './archive.ts'
import { backlog } from './backlog.ts'
import { drain } from './drain.ts'
import { fanout } from './fanout.ts'
import type { Bench, Options } from './frame/bench.ts'
import { measure } from './frame/measure.ts'
import { printed, writeReport } from './frame/report.ts'
import { keep } from './frame/results.ts'
import { history } from './history.ts'
import { ingest } from './ingest.ts'
import { live } from './live.ts'
import { query } from './query.ts'
import { judge } from './running.ts'
import { sidecarBatch, sidecarSingle } from './sidecar.ts'
import { sinks } from './sinks.ts'
import { soak } from './soak.ts'
import { spool } from './spool.ts'
import { start } from './start.ts'
import { startBacklog } from './start-backlog.ts'
import { stats } from './stats.ts'

const benches: Bench[] = [
  ...[spool, sidecarSingle, sidecarBatch, ingest, drain, live, query, archive, stats, judge, start],
  ...[startBacklog, fanout, sinks, backlog, soak, history],
]
const names = benches.map(({ name }) => name)

await new Command('npm run bench --')
  .description('Measures the built program. Keeps every figure in bench/results/.')
  .argument('<name...>', `${names.join(', ')}; or all`)
  .option('--seconds <n>', 'of a turn', positive, 10)
  .option('--turns <n>', 'that each side takes', positive, 5)
  .option('--database <url>', 'server to make databases on; an embedded PostgreSQL unless given')
  .option(
    '--connections <n,n>',
    'concurrent requests of ingest; drain takes the most',
    numbers,
    [1, 2],
  )
  .option('--backlog <n>', 'events that wait before drain and backlog', positive, 1_000_000)
  .option('--jobs <n,n>', 'sizes of the table for query', numbers, [100_000, 1_000_000])
  .option('--day <n>', 'events of the day for archive', positive, 2_000_000)
  .option('--week <n,n>', 'jobs of a week for query', numbers, [100_000, 1_000_000])
  .option('--dry', 'keep nothing: print the figures only', false)
  .action(async (wanted: string[], { dry, ...options }: Options & { dry: boolean }) => {
    for (const bench of chosen(wanted)) {
      // One that breaks must not cost the others their turn.
      const result = await measure(bench, options).catch((error: unknown) => {
        process.exitCode = 1
        console.error(`${bench.name} broke off:`, error)
      })
      if (!result) continue
      process.stdout.write(`${printed(result)}\n\n`)
      if (dry) continue
      keep(result)
      writeReport(names)
    }
  })
  .parseAsync()

function chosen(wanted: string[]): Bench[] {
  const unknown = wanted.filter((name) => name !== 'all' && !names.includes(name))
  if (unknown.length > 0) {
    console.error(`no bench is called ${unknown.join(', ')}: ${names.join(', ')}, all`)
    process.exit(2)
  }
  return wanted.includes('all') ? benches : benches.filter(({ name }) => wanted.includes(name))
}

function positive(text: string): number {
  const value = Number(text)
  if (!(value > 0)) throw new InvalidArgumentError('must be a number over 0')
  return value
}

function numbers(text: string): number[] {
  return text.split(',').map(positive)
}
