import { userInfo } from 'node:os'
import { type Command, InvalidArgumentError, Option } from 'commander'
import { siteIdMessage, siteIdPattern } from '../core/site-id.ts'
import type { ToolConfig, ToolName } from '../roles/settings.ts'
import type { LocalApi } from '../tools/local-api.ts'
import type { Sidecar } from '../tools/sidecar.ts'

/*
 * Options that several commands share. They are read by `roles/settings.ts`, the same way for all:
 * a flag wins over the environment, and the environment over the file.
 */

/** Of every command that reads settings. */
export const configOption = () =>
  new Option(
    '--config <file>',
    'YAML file of settings, NAME: value per line; the environment overrides it (default: WAFERMON_CONFIG)',
  )

/** A flag that wins over a setting. */
export const settingOption = (flags: string, description: string, setting: string) =>
  new Option(flags, `${description} (default: the setting ${setting})`)

/** Of every tool that talks to a sidecar. */
export const sidecarOption = () =>
  settingOption('--url <address>', 'address of the sidecar', 'SIDECAR_URL')

export const jsonOption = () => new Option('--json', 'print the result as JSON')

/** Of commands that send a file and may be stopped on the way. */
export const stateOption = () =>
  new Option(
    '--state <folder>',
    'folder in which to keep the position; the next run continues there',
  )

/** Of commands that make events. */
export const siteOption = () =>
  new Option('--site <id>', 'id of the site').default('fab1').argParser(toSite)

/** The id of a site, for a flag. */
export function toSite(text: string): string {
  if (siteIdPattern.test(text)) return text
  throw new InvalidArgumentError(`It ${siteIdMessage}.`)
}

/** A whole number of seconds, for a flag. */
export function toSeconds(text: string): number {
  if (/^\d{1,6}$/.test(text)) return Number(text)
  throw new InvalidArgumentError('It must be a whole number of seconds.')
}

/** The flags of every command that reads settings. */
export type ConfigFlags = { config?: string }

/** By setting: the flag that wins over it, and what the command line gives. */
type Given = Record<string, readonly [flag: string, value: string | undefined]>

/** The settings of a tool. @throws ConfigError that names every problem */
export async function readTool<T extends ToolName>(
  tool: T,
  { config: file }: ConfigFlags,
  given: Given,
): Promise<ToolConfig<T>> {
  const { readToolConfig } = await import('../roles/settings.ts')
  const pick = (i: 0 | 1) =>
    Object.fromEntries(Object.entries(given).map(([name, pair]) => [name, pair[i]]))
  const flagNames = pick(0) as Record<string, string>
  return readToolConfig(tool, { env: process.env, file, flags: pick(1), flagNames })
}

/** The sidecar that a tool talks to. */
export async function readSidecar(
  tool: 'spool' | 'replay' | 'simulate',
  flags: ConfigFlags & { url?: string },
): Promise<Sidecar> {
  const config = await readTool(tool, flags, { SIDECAR_URL: ['--url', flags.url] })
  return { url: config.SIDECAR_URL, token: config.SIDECAR_TOKEN }
}

/** Of every tool that talks to a local API. */
export const withLocalApi = (command: Command): Command =>
  command
    .addOption(settingOption('--url <address>', 'address of the local API', 'LOCAL_API_BASE'))
    .addOption(configOption())

/** The local API that a tool talks to. */
export async function readLocalApi(
  tool: 'sources' | 'jobs',
  flags: ConfigFlags & { url?: string },
): Promise<LocalApi> {
  const config = await readTool(tool, flags, { LOCAL_API_BASE: ['--url', flags.url] })
  return { url: config.LOCAL_API_BASE, token: config.LOCAL_API_TOKEN }
}

/** The name of the system user; a container may have one without a name. */
export function userName(): string | undefined {
  try {
    return userInfo().username
  } catch {
    return undefined
  }
}
