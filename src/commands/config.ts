import type { Command } from 'commander'
import { printLine } from '../platform/stdout.ts'
import type { readConfig } from '../roles/settings.ts'
import type { Probed } from '../roles/sidecar-sinks.ts'
import type { CheckedRole, ShownSetting } from '../tools/config.ts'
import { table } from '../tools/table.ts'
import { type ConfigFlags, configOption, jsonOption } from './options.ts'

type Flags = ConfigFlags & { role?: string; json?: boolean; connect?: boolean }

/** Adds `wafermon config check` and `wafermon config show`. */
export function addConfig(program: Command): void {
  const config = program.command('config').description('checks and shows the settings of the roles')
  withRole(config.command('check'))
    .description('reports every problem with the settings; exit code 2 when there is one')
    .option(
      '--connect',
      'also ask every sink of the sidecar, without an event; exit code 1 when one cannot deliver',
    )
    .action(check)
  withRole(config.command('show'))
    .description('shows every setting and where its value comes from, secrets masked')
    .action(show)
}

const withRole = (command: Command) =>
  command
    .option('--role <role>', 'only this role (default: every role)')
    .addOption(configOption())
    .addOption(jsonOption())

async function load(flags: Flags) {
  const { knownSettings: known, roleSettings: roles } = await import('../roles/settings.ts')
  const tool = await import('../tools/config.ts')
  return { ...tool, catalog: { roles, known }, sources: { env: process.env, file: flags.config } }
}

async function check(flags: Flags): Promise<void> {
  const { checkConfig, findMisspelled, catalog, sources } = await load(flags)
  const checked = checkConfig(catalog, sources, flags.role)
  const suspects = findMisspelled(catalog, process.env)
  if (checked.some(({ state }) => state === 'wrong')) process.exitCode = 2
  const isRunnable = checked.some(({ role, state }) => role === 'sidecar' && state === 'ok')
  const sinks = flags.connect && isRunnable ? await probe(sources) : undefined
  if (sinks?.some(({ problem }) => problem !== null)) process.exitCode ??= 1
  if (flags.json) return printLine(JSON.stringify({ roles: checked, suspects, sinks }, null, 2))
  const lines = [...checked.map(toText), ...suspects, ...(sinks ?? []).map(toLine)]
  await printLine(lines.join('\n'))
}

async function probe(sources: Parameters<typeof readConfig>[1]): Promise<Probed[]> {
  const { readConfig } = await import('../roles/settings.ts')
  const { probeSinks } = await import('../roles/sidecar-sinks.ts')
  return probeSinks(readConfig('sidecar', sources).config)
}

const toLine = ({ name, type, problem }: Probed) =>
  `sink ${name} (${type}): ${problem === null ? 'ready' : `not ready: ${problem}`}`

function toText({ role, state, problems, warnings }: CheckedRole): string {
  const heads = { ok: 'ok', wrong: 'cannot start', unset: 'not set up here' }
  const lines = [...problems, ...warnings.map((warning) => `warning: ${warning}`)]
  return [`${role}: ${heads[state]}`, ...lines].join('\n  ')
}

async function show(flags: Flags): Promise<void> {
  const { selectRoles, showConfig, catalog, sources } = await load(flags)
  const roles = selectRoles(catalog, flags.role)
  const shown = roles.map((role) => ({ role, settings: showConfig(catalog, sources, role) }))
  if (flags.json) return printLine(JSON.stringify(shown, null, 2))
  const texts = shown.map(({ role, settings }) => `${role}\n${table(toRows(settings), '  ')}`)
  await printLine(texts.join('\n\n'))
}

const toRows = (settings: readonly ShownSetting[]) =>
  settings.map(({ name, value, unit, origin }) => [name, valueText(value, unit), origin])

function valueText(value: unknown, unit: string | null): string {
  if (value === null || (Array.isArray(value) && value.length === 0)) return '(not set)'
  const text = Array.isArray(value) ? value.join(',') : String(value)
  return unit === null ? text : `${text} ${unit}`
}
