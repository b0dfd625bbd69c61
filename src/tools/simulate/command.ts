import { type Command, InvalidArgumentError } from 'commander'

type Flags = {
  url: string
  site: string
  rate: number
  seed: number
  duration?: number
  quiet?: boolean
}

/** Adds `wafermon simulate`. */
export function addSimulate(program: Command): void {
  program
    .command('simulate')
    .description('runs a simulated fab that reports its jobs through the SDK')
    .option(
      '--url <address>',
      'the sidecar (or SIDECAR_URL)',
      process.env.SIDECAR_URL || 'http://127.0.0.1:8000',
    )
    .option('--site <id>', 'id of the site', 'fab1')
    .option('--rate <jobs>', 'jobs that start per minute', positive, 40)
    .option('--seed <number>', 'decides everything that happens but the time it begins', whole, 1)
    .option('--duration <seconds>', 'end after this time', positive)
    .option('--quiet', 'print nothing')
    .action(async ({ url, site, rate, seed, duration, quiet }: Flags) => {
      const { runSimulate } = await import('./run.ts')
      const stop = new AbortController()
      for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => stop.abort())
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
    })
}

function positive(text: string): number {
  const n = Number(text)
  if (Number.isFinite(n) && n > 0) return n
  throw new InvalidArgumentError('must be a number over 0')
}

function whole(text: string): number {
  const n = Number(text)
  if (Number.isInteger(n) && n >= 0 && n < 2 ** 32) return n
  throw new InvalidArgumentError('must be a whole number from 0')
}
