import { type Command, InvalidArgumentError } from 'commander'
import { onSignals } from '../platform/signals.ts'
import {
  type ConfigFlags,
  configOption,
  jsonOption,
  readSidecar,
  sidecarOption,
  siteOption,
  stateOption,
} from './options.ts'

type Flags = ConfigFlags & {
  url?: string
  site: string
  speed: number
  state?: string
  json?: boolean
}

/** Adds `wafermon replay`. */
export function addReplay(program: Command): void {
  program
    .command('replay <file>')
    .description('sends recorded jobs (NDJSON) as history; sending a file again changes nothing')
    .addOption(sidecarOption())
    .addOption(configOption())
    .addOption(siteOption())
    .option(
      '--speed <factor>',
      'speed relative to the recording; 0 sends as fast as possible',
      toSpeed,
      0,
    )
    .addOption(stateOption())
    .addOption(jsonOption())
    .action(async (file: string, flags: Flags) => {
      const { site, speed, state, json } = flags
      const sidecar = await readSidecar('replay', flags)
      const { runReplay } = await import('../tools/replay/run.ts')
      const stop = new AbortController()
      onSignals(() => stop.abort())
      const options = { file, sidecar, siteId: site, speed, state, json: !!json }
      process.exitCode = await runReplay(options, stop.signal)
    })
}

function toSpeed(text: string): number {
  const n = Number(text)
  if (text.trim() !== '' && Number.isFinite(n) && n >= 0) return n
  throw new InvalidArgumentError('It must be a number, 0 or more.')
}
