import type { Command } from 'commander'
import { printLine } from '../platform/stdout.ts'
import type { Checked, Shown } from '../tools/config.ts'
import { table } from '../tools/table.ts'

type Flags = { role?: string; config?: string; json?: boolean }

/** Adds `wafermon config check` and `wafermon config show`. */
export function addConfig(program: Command): void {
  const config = program.command('config').description('checks and shows the settings of the roles')
  config
    .command('check')
    .description('tells every problem of the settings at once; code 2 when there is one')
    .option('--role <role>', 'only this role; every role unless given')
    .option('--config <file>', 'settings as YAML, NAME: value a line (or WAFERMON_CONFIG)')
    .option('--json', 'print the result as JSON')
    .action(check)
  config
    .command('show')
    .description('shows every setting, where its value comes from, with secrets masked')
    .option('--role <role>', 'only this role; every role unless given')
    .option('--config <file>', 'settings as YAML, NAME: value a line (or WAFERMON_CONFIG)')
    .option('--json', 'print the result as JSON')
    .action(show)
}

const sourcesOf = ({ config }: Flags) => ({ env: process.env, file: config })

async function check(flags: Flags): Promise<void> {
  const { checkConfig, misspelled, roleCalled } = await import('../tools/config.ts')
  const sources = sourcesOf(flags)
  const checked = checkConfig(sources, flags.role ? roleCalled(flags.role) : undefined)
  const suspects = misspelled(process.env)
  if (checked.some(({ state }) => state === 'wrong')) process.exitCode = 2
  if (flags.json) return printLine(JSON.stringify({ roles: checked, suspects }, null, 2))
  await printLine([...checked.map(checkedText), ...suspects].join('\n'))
}

function checkedText({ role, state, problems, warnings }: Checked): string {
  const heads = { ok: 'ok', wrong: 'does not start', unset: 'not set up here' }
  const lines = [...problems, ...warnings.map((warning) => `warning: ${warning}`)]
  return [`${role}: ${heads[state]}`, ...lines].join('\n  ')
}

async function show(flags: Flags): Promise<void> {
  const { allRoles, roleCalled, showConfig } = await import('../tools/config.ts')
  const roles = flags.role ? [roleCalled(flags.role)] : allRoles
  const shown = roles.map((role) => ({ role, settings: showConfig(role, sourcesOf(flags)) }))
  if (flags.json) return printLine(JSON.stringify(shown, null, 2))
  const texts = shown.map(({ role, settings }) => `${role}\n${table(rowsOf(settings), '  ')}`)
  await printLine(texts.join('\n\n'))
}

const rowsOf = (settings: readonly Shown[]) =>
  settings.map(({ name, value, unit, origin }) => [name, valueText(value, unit), origin])

function valueText(value: unknown, unit: string | null): string {
  if (value === null || (Array.isArray(value) && value.length === 0)) return '(not set)'
  const text = Array.isArray(value) ? value.join(',') : String(value)
  return unit === null || unit === 'port' ? text : `${text} ${unit}`
}
