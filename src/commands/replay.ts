import { type Command, InvalidArgumentError } from 'commander'
import { onSignals } from '../platform/signals.ts'
import { sidecarOption, siteOption } from '../tools/sidecar.ts'

type Flags = { url: string; site: string; speed: number; state?: string; json?: boolean }

/** Adds `wafermon replay`. */
export function addReplay(program: Command): void {
  program
    .command('replay <file>')
    .description('sends recorded jobs (NDJSON) as history; doing it again changes nothing')
    .addOption(sidecarOption())
    .addOption(siteOption())
    .option(
      '--speed <factor>',
      'over the time of the trace; 0 is as fast as it is taken',
      toSpeed,
      0,
    )
    .option('--state <folder>', 'note here how far it came, and go on from there')
    .option('--json', 'print the result as JSON')
    .action(async (file: string, { url, site, speed, state, json }: Flags) => {
      const { runReplay } = await import('../tools/replay/run.ts')
      const stop = new AbortController()
      onSignals(() => stop.abort())
      const options = { file, url, siteId: site, speed, state, json: !!json }
      process.exitCode = await runReplay(options, stop.signal)
    })
}

function toSpeed(text: string): number {
  const n = Number(text)
  if (text.trim() !== '' && Number.isFinite(n) && n >= 0) return n
  throw new InvalidArgumentError('Give a number from 0.')
}
