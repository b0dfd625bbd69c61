import { type Command, InvalidArgumentError } from 'commander'
import { ConfigError } from '../core/errors.ts'
import { closestSpelling } from '../core/spelling.ts'
import { onSignals } from '../platform/signals.ts'
import type { Format, FormatOption } from '../tools/import/format.ts'
import { formats } from '../tools/import/formats/index.ts'
import {
  type ConfigFlags,
  configOption,
  jsonOption,
  readTool,
  settingOption,
  sidecarOption,
  siteOption,
  stateOption,
} from './options.ts'

type Flags = ConfigFlags & {
  url?: string
  site: string
  app?: string
  system?: string
  zone?: string
  map?: Map<string, string>
  delimiter?: string
  dryRun?: boolean
  state?: string
  json?: boolean
}

const width = Math.max(...formats.map(({ name }) => name.length))
const help = `
Formats:
${formats.map(({ name, about }) => `  ${name.padEnd(width)}  ${about}`).join('\n')}

Files may be compressed with gzip. A line that cannot be read is named and left out, and the exit code is 1.

Examples:
  sacct --allusers --parsable2 --duplicates --format=ALL --starttime=2026-03-01 > jobs.txt
  wafermon import sacct jobs.txt --zone Europe/Berlin --dry-run
  wafermon import sacct jobs.txt --zone Europe/Berlin --state ~/imports
  wafermon import csv lots.csv --map id=LOT,started_at=TrackIn,ended_at=TrackOut,status=Result
`

/** Adds `wafermon import`. */
export function addImport(program: Command): void {
  program
    .command('import <format> <file>')
    .description(
      'sends the jobs of another system as history; importing a file again changes nothing',
    )
    .addOption(sidecarOption())
    .addOption(configOption())
    .addOption(siteOption())
    .option('--app <name>', 'app of every job of the file (default: as the file says)', toText)
    .option(
      '--system <name>',
      'system that the file is from, part of the identity of its jobs (default: the format)',
      toText,
    )
    .addOption(
      settingOption(
        '--zone <name>',
        'zone of times that have none: Europe/Berlin, UTC',
        'SITE_ZONE',
      ),
    )
    .option('--map <field=column,...>', 'csv: which column has which field; repeatable', toMap)
    .option('--delimiter <text>', 'csv, sacct: what separates fields; \\t is a tab', toDelimiter)
    .option('--dry-run', 'read the file and report what would be sent, and send nothing')
    .addOption(stateOption())
    .addOption(jsonOption())
    .addHelpText('after', help)
    .action(async (name: string, file: string, flags: Flags) => {
      const format = await loadFormat(name, flags)
      const given = {
        SIDECAR_URL: ['--url', flags.url],
        SITE_ZONE: ['--zone', flags.zone],
      } as const
      const config = await readTool('importer', flags, given)
      const { runImport } = await import('../tools/import/run.ts')
      const stop = new AbortController()
      onSignals(() => stop.abort())
      const { map, delimiter, site: siteId, system = name, app, dryRun, state, json } = flags
      process.exitCode = await runImport(
        {
          ...{ name, format, file, state, dryRun: !!dryRun, json: !!json },
          context: { zone: config.SITE_ZONE, map, delimiter },
          target: { siteId, system, app },
          sidecar: { url: config.SIDECAR_URL, token: config.SIDECAR_TOKEN },
        },
        stop.signal,
      )
    })
}

async function loadFormat(name: string, flags: Flags): Promise<Format> {
  const names = formats.map((one) => one.name)
  const entry = formats.find((one) => one.name === name)
  if (!entry) {
    const meant = closestSpelling(name, names)
    const remedy = meant ? `did you mean ${meant}?` : `use one of ${names.join(', ')}`
    throw new ConfigError(`there is no format ${name}; ${remedy}`)
  }
  const format = await entry.load()
  const options: FormatOption[] = ['map', 'delimiter']
  const unused = options.find((one) => flags[one] !== undefined && !format.options?.includes(one))
  if (unused) throw new ConfigError(`--${unused} has no use for ${name}; leave it out`)
  return format
}

function toText(text: string): string {
  if (text.trim() !== '') return text
  throw new InvalidArgumentError('It must not be empty.')
}

function toMap(text: string, before = new Map<string, string>()): Map<string, string> {
  for (const pair of text.split(',')) {
    const [, field, column] = /^\s*([^=\s]+)\s*=\s*(.*\S)\s*$/.exec(pair) ?? []
    if (field === undefined || column === undefined) {
      throw new InvalidArgumentError('It must be FIELD=COLUMN, separated by commas.')
    }
    before.set(field, column)
  }
  return before
}

function toDelimiter(text: string): string {
  const delimiter = text === '\\t' ? '\t' : text
  if (/^[^"\r\n]+$/.test(delimiter)) return delimiter
  throw new InvalidArgumentError('It must be a character, and not a quotation mark or a line end.')
}
