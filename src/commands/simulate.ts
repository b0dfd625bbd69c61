import { type Command, InvalidArgumentError } from 'commander'
import { onSignals } from '../platform/signals.ts'
import { sidecarOption, siteOption } from '../tools/sidecar.ts'

type Flags = {
  url: string
  site: string
  rate: number
  seed: number
  duration?: number
  records?: string | true
  quiet?: boolean
}

/** What a timer can wait, in seconds: 23 days. */
const longestS = 2_000_000

/** Adds `wafermon simulate`. */
export function addSimulate(program: Command): void {
  program
    .command('simulate')
    .description('runs a simulated fab that reports its jobs through the SDK')
    .addOption(sidecarOption())
    .addOption(siteOption())
    .option('--rate <jobs>', 'jobs that start per minute', positive, 40)
    .option('--seed <number>', 'decides everything that happens but the time it begins', whole, 1)
    .option('--duration <seconds>', 'end after this time of the fab', positive)
    .option(
      '--records [file]',
      'report nothing, but write the jobs as records for wafermon replay, at once (standard output without a file); needs --duration',
    )
    .option('--quiet', 'print nothing')
    .action(async (flags: Flags, command: Command) => {
      const { duration: durationS } = flags
      if (flags.records === undefined) {
        const fits = durationS === undefined || durationS <= longestS
        return fits ? simulate(flags) : command.error(`error: --duration is ${longestS} at most`)
      }
      if (durationS === undefined) return command.error('error: --records needs --duration')
      const { writeRecords } = await import('../tools/simulate/write-records.ts')
      const file = flags.records === true ? undefined : flags.records
      await writeRecords({ file, seed: flags.seed, jobsPerMinute: flags.rate, durationS })
    })
}

async function simulate({ url, site, rate, seed, duration, quiet }: Flags): Promise<void> {
  const { runSimulate } = await import('../tools/simulate/run.ts')
  const stop = new AbortController()
  onSignals(() => stop.abort())
  if (process.channel) process.once('disconnect', () => stop.abort())
  process.send?.({ ready: true, url })
  const options = {
    url,
    siteId: site,
    jobsPerMinute: rate,
    seed,
    durationS: duration,
    quiet: !!quiet,
  }
  await runSimulate(options, stop.signal)
  if (process.channel) process.disconnect?.()
}

function positive(text: string): number {
  const n = Number(text)
  if (Number.isFinite(n) && n > 0) return n
  throw new InvalidArgumentError('Give a number over 0.')
}

function whole(text: string): number {
  const n = Number(text)
  if (/^\d+$/.test(text) && n < 2 ** 32) return n
  throw new InvalidArgumentError('Give a whole number from 0 to 4294967295.')
}
