import { type Command, InvalidArgumentError } from 'commander'
import { parseTime, toMs } from '../core/time.ts'
import { clock } from '../platform/clock.ts'
import { tellReady } from '../platform/parent.ts'
import { onSignals } from '../platform/signals.ts'
import {
  type ConfigFlags,
  configOption,
  readSidecar,
  sidecarOption,
  siteOption,
} from './options.ts'

type Flags = ConfigFlags & {
  url?: string
  site: string
  rate: number
  seed: number
  duration?: number
  records?: string | true
  end?: number
  quiet?: boolean
}

/** Longest that a timer can wait, in seconds: 23 days. */
const longestS = 2_000_000

/** Adds `wafermon simulate`. */
export function addSimulate(program: Command): void {
  program
    .command('simulate')
    .description('runs a simulated fab that reports its jobs through the SDK')
    .addOption(sidecarOption())
    .addOption(configOption())
    .addOption(siteOption())
    .option('--rate <jobs>', 'jobs started per minute', positive, 40)
    .option('--seed <number>', 'seed; the same seed gives the same jobs', whole, 1)
    .option('--duration <seconds>', 'stop after this many seconds', positive)
    .option(
      '--records [file]',
      'send nothing, write the jobs of --duration as records for wafermon replay (to standard output unless a file is given)',
    )
    .option(
      '--end <time>',
      'when the records end; the same end, seed, rate and duration give the same records (default: now)',
      toMoment,
    )
    .option('--quiet', 'print nothing')
    .action(async (flags: Flags, command: Command) => {
      const { duration: durationS } = flags
      if (flags.records === undefined) {
        if (flags.end !== undefined) return command.error('error: --end needs --records')
        const fits = durationS === undefined || durationS <= longestS
        return fits
          ? simulate(flags)
          : command.error(`error: --duration must be at most ${longestS}`)
      }
      if (durationS === undefined) return command.error('error: --records needs --duration')
      const { writeRecords } = await import('../tools/simulate/write-records.ts')
      const file = flags.records === true ? undefined : flags.records
      const endMs = flags.end ?? Math.floor(clock.nowMs() / 1000) * 1000
      await writeRecords({ file, seed: flags.seed, jobsPerMinute: flags.rate, durationS, endMs })
    })
}

async function simulate(flags: Flags): Promise<void> {
  const { site, rate, seed, duration, quiet } = flags
  const sidecar = await readSidecar('simulate', flags)
  const { runSimulate } = await import('../tools/simulate/run.ts')
  const stop = new AbortController()
  onSignals(() => stop.abort())
  if (process.channel) process.once('disconnect', () => stop.abort())
  tellReady(sidecar.url)
  const options = {
    sidecar,
    siteId: site,
    jobsPerMinute: rate,
    seed,
    durationS: duration,
    quiet: !!quiet,
  }
  await runSimulate(options, stop.signal)
  if (process.channel) process.disconnect?.()
}

function toMoment(text: string): number {
  const time = parseTime(text)
  if (time !== undefined) return Math.floor(toMs(time))
  throw new InvalidArgumentError('It must be a time such as 2026-03-01T12:00:00Z.')
}

function positive(text: string): number {
  const n = Number(text)
  if (Number.isFinite(n) && n > 0) return n
  throw new InvalidArgumentError('It must be a number over 0.')
}

function whole(text: string): number {
  const n = Number(text)
  if (/^\d+$/.test(text) && n < 2 ** 32) return n
  throw new InvalidArgumentError('It must be a whole number from 0 to 4294967295.')
}
