import { InvalidArgumentError, Option } from 'commander'
import { siteIdMessage, siteIdPattern } from '../core/site-id.ts'
import type { ToolConfig, ToolName } from '../roles/settings.ts'
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

/** Of commands that make events. */
export const siteOption = () =>
  new Option('--site <id>', 'id of the site').default('fab1').argParser(toSite)

function toSite(text: string): string {
  if (siteIdPattern.test(text)) return text
  throw new InvalidArgumentError(`It ${siteIdMessage}.`)
}

/** What every command has that reads settings. */
export type ConfigFlags = { config?: string }

/**
 * The settings of a tool.
 *
 * @param flags values of flags by setting
 * @param flagNames the flags of settings that the tool needs
 */
export async function readTool<T extends ToolName>(
  tool: T,
  { config: file }: ConfigFlags,
  flags: Record<string, string | undefined>,
  flagNames: Record<string, string> = {},
): Promise<ToolConfig<T>> {
  const { readToolConfig } = await import('../roles/settings.ts')
  return readToolConfig(tool, { env: process.env, file, flags, flagNames })
}

/** The sidecar that a tool talks to. */
export async function readSidecar(
  tool: 'spool' | 'replay' | 'simulate',
  flags: ConfigFlags & { url?: string },
): Promise<Sidecar> {
  const config = await readTool(tool, flags, { SIDECAR_URL: flags.url })
  return { url: config.SIDECAR_URL, token: config.SIDECAR_TOKEN }
}
