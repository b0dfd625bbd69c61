import { type Command, InvalidArgumentError, Option } from 'commander'
import { type Kind, kinds } from '../core/kinds.ts'
import { parseTime } from '../core/time.ts'
import { type ConfigFlags, configOption, jsonOption, readTool, settingOption } from './options.ts'

type Flags = ConfigFlags & {
  from: string
  to: string
  sink: string
  databaseUrl?: string
  outputDir?: string
  kind?: Kind[]
  entity?: ('job' | 'subjob')[]
  app?: string[]
  site?: string[]
  json?: boolean
}

/** Adds `wafermon resend`. */
export function addResend(program: Command): void {
  program
    .command('resend')
    .description(
      'sends the events of a range from the hot store to a sink again, with the keys that they had; exit code 1 when the sink refused some, or is not ready',
    )
    .requiredOption('--from <time>', 'time of the first event (inclusive), RFC 3339', toTime)
    .requiredOption('--to <time>', 'end of the range (exclusive), RFC 3339', toTime)
    .requiredOption('--sink <name>', 'sink of INTEGRATIONS_CONFIG; its own filter counts too')
    .addOption(new Option('--kind <kinds...>', 'only events of these kinds').choices(kinds))
    .addOption(
      new Option('--entity <types...>', 'only events of these types').choices(['job', 'subjob']),
    )
    .option('--app <names...>', 'only events of these apps')
    .option('--site <ids...>', 'only events of these sites')
    .option('--output-dir <folder>', 'folder of the files of csv and json, not that of the sidecar')
    .addOption(settingOption('--database-url <url>', 'address of the database', 'DATABASE_URL'))
    .addOption(configOption())
    .addOption(jsonOption())
    .action(resend)
}

async function resend(flags: Flags): Promise<void> {
  const { runResend } = await import('../roles/resend.ts')
  const { from, to, sink, outputDir, kind, entity, app, site, json = false } = flags
  const config = await readTool('resend', flags, {
    DATABASE_URL: ['--database-url', flags.databaseUrl],
  })
  const filter = {
    ...{ ...(kind ? { kind } : {}), ...(entity ? { entity } : {}) },
    ...{ ...(app ? { app } : {}), ...(site ? { site } : {}) },
  }
  await runResend({ config, from, to, sink, outputDir, filter, json })
}

function toTime(text: string): string {
  const time = parseTime(text)
  if (time !== undefined) return time
  throw new InvalidArgumentError(
    'It must be an RFC 3339 time with an offset, such as 2026-03-01T12:00:00Z.',
  )
}
