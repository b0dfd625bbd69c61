import { type Command, InvalidArgumentError } from 'commander'

type Flags = { url: string; site: string; speed: number; state?: string; json?: boolean }

/** Adds `wafermon replay`. */
export function addReplay(program: Command): void {
  program
    .command('replay <file>')
    .description('sends recorded jobs (NDJSON) as history; doing it again changes nothing')
    .option(
      '--url <address>',
      'the sidecar (or SIDECAR_URL)',
      process.env.SIDECAR_URL || 'http://127.0.0.1:8000',
    )
    .option('--site <id>', 'id of the site', 'fab1')
    .option(
      '--speed <factor>',
      'over the time of the trace; 0 is as fast as it is taken',
      toSpeed,
      0,
    )
    .option('--state <folder>', 'note here how far it came, and go on from there')
    .option('--json', 'print the result as JSON')
    .action(async (file: string, { url, site, speed, state, json }: Flags) => {
      const { runReplay } = await import('./run.ts')
      const stop = new AbortController()
      for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => stop.abort())
      const options = { file, url, siteId: site, speed, state, json: !!json }
      try {
        process.exitCode = await runReplay(options, stop.signal)
      } catch (error) {
        const { code } = error as NodeJS.ErrnoException
        if (code !== 'ENOENT' && code !== 'EACCES' && code !== 'EISDIR') throw error
        process.stderr.write(`wafermon replay: cannot read ${file} (${code})\n`)
        process.exitCode = 2
      }
    })
}

function toSpeed(text: string): number {
  const n = Number(text)
  if (Number.isFinite(n) && n >= 0) return n
  throw new InvalidArgumentError('must be a number from 0')
}
