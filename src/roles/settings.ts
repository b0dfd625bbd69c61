import * as z from 'zod'
import { ingestSettings, querySettings } from '../api/settings.ts'
import { placeSettings } from '../archive/places/index.ts'
import { archiveSettings } from '../archive/settings.ts'
import { isZone } from '../core/event-time.ts'
import { dashboardSettings } from '../dashboard/settings.ts'
import { describeSetting } from '../platform/settings/describe.ts'
import { joinSettings } from '../platform/settings/group.ts'
import { httpUrl, number, port, text, tokenToSend } from '../platform/settings/kinds.ts'
import { readSettings } from '../platform/settings/read.ts'
import { sharedSettings } from '../platform/settings/shared.ts'
import type { Known, Sources } from '../platform/settings/sources.ts'
import { tokensFile } from '../platform/settings/tokens.ts'
import { integrationsSettings } from '../sinks/settings.ts'
import { sitesSettings } from '../sites/settings.ts'
import { spoolSettings } from '../spool/settings.ts'
import { databaseSettings, retentionSettings, storeSettings } from '../store/settings.ts'
import { sidecarAddressSettings } from '../tools/settings.ts'

/*
 * The list of roles, and the settings that each role and each tool is composed of. It loads the
 * schemas of settings and nothing else of a role.
 */

const LOCAL_API_TOKEN = tokenToSend(
  'Token to send to the API; created on its host with `wafermon token new`: scope forward for a sidecar, read for others.',
  { place: true },
)

const LOCAL_API_BASE = httpUrl('Local API of the site.', { place: true }).default(
  'http://127.0.0.1:18000',
)

const SITE_ZONE = text(
  'Zone of event times that have none, such as Europe/Berlin; unless set, they are refused.',
)
  .refine(isZone, 'must be a name of the time zone database, such as Europe/Berlin')
  .optional()

const REQUEST_TIMEOUT_S = number('Maximum time to wait for the local API to answer.', {
  ...{ min: 0.1, max: 600, standard: 30, unit: 's' },
})

export const roleSettings = {
  sidecar: joinSettings(
    sharedSettings,
    z.object({
      PORT: port(8000),
      LOCAL_API_BASE,
      LOCAL_API_TOKEN,
      REQUEST_TIMEOUT_S,
      SITE_ZONE,
    }),
    integrationsSettings,
    spoolSettings,
    ingestSettings,
  ),
  'local-api': joinSettings(
    sharedSettings,
    z.object({ PORT: port(18_000), ...placeSettings }),
    databaseSettings,
    storeSettings,
    ingestSettings,
    querySettings,
  ),
  archiver: joinSettings(
    sharedSettings,
    z.object({ PORT: port(18_100) }),
    databaseSettings,
    archiveSettings,
    retentionSettings,
  ),
  central: joinSettings(
    sharedSettings,
    z.object({ PORT: port(19_000), LOCAL_API_TOKEN }),
    sitesSettings,
    querySettings,
  ),
  web: joinSettings(
    sharedSettings,
    z.object({ PORT: port(8501), LOCAL_API_TOKEN }),
    dashboardSettings,
  ),
} as const

export type RoleName = keyof typeof roleSettings
export type ConfigOf<R extends RoleName> = z.infer<(typeof roleSettings)[R]>
export type SidecarConfig = ConfigOf<'sidecar'>
export type LocalApiConfig = ConfigOf<'local-api'>
export type ArchiverConfig = ConfigOf<'archiver'>
export type CentralConfig = ConfigOf<'central'>
export type WebConfig = ConfigOf<'web'>

/** The settings of each tool. */
export const toolSettings = {
  migrate: z.object({ DATABASE_URL: databaseSettings.shape.DATABASE_URL }),
  db: z.object({
    DATABASE_URL: databaseSettings.shape.DATABASE_URL,
    FREEZE_AFTER_HOURS: storeSettings.shape.FREEZE_AFTER_HOURS,
  }),
  archive: z.object({
    ...placeSettings,
    ARCHIVE_KEEP_YEARS: archiveSettings.shape.ARCHIVE_KEEP_YEARS,
    DATABASE_URL: databaseSettings.shape.DATABASE_URL.optional(),
  }),
  token: z.object({ TOKENS_FILE: tokensFile }),
  spool: sidecarAddressSettings,
  sources: z.object({ LOCAL_API_BASE, LOCAL_API_TOKEN }),
  jobs: z.object({ LOCAL_API_BASE, LOCAL_API_TOKEN }),
  resend: joinSettings(
    z.object({
      DATABASE_URL: databaseSettings.shape.DATABASE_URL,
      ...{ LOCAL_API_BASE, LOCAL_API_TOKEN, REQUEST_TIMEOUT_S },
    }),
    integrationsSettings,
  ),
  replay: sidecarAddressSettings,
  importer: joinSettings(sidecarAddressSettings, z.object({ SITE_ZONE })),
  simulate: sidecarAddressSettings,
} as const

export type ToolName = keyof typeof toolSettings
export type ToolConfig<T extends ToolName> = z.infer<(typeof toolSettings)[T]>

const everySchema: z.ZodObject[] = [...Object.values(roleSettings), ...Object.values(toolSettings)]

/** True for a setting that says where something is. */
export const isPlace = (name: string): boolean =>
  everySchema.some((schema) => name in schema.shape && describeSetting(schema, name).place)

export const knownSettings: Known = {
  names: new Set(everySchema.flatMap(({ shape }) => Object.keys(shape))),
  notReadYet: [
    ...['ALERT_WEBHOOK_URL', 'SLACK_WEBHOOK_URL', 'EMAIL_API_URL', 'SMTP_URL', 'ALERT_EMAIL_TO'],
    'CACHE_TTL_S',
  ],
}

/**
 * The settings of a role, and warnings that the operator should see.
 *
 * @throws ConfigError that names every problem
 */
export function readConfig<R extends RoleName>(
  role: R,
  sources: Sources,
): { config: ConfigOf<R>; warnings: string[] } {
  const schema: z.ZodObject = roleSettings[role]
  return readSettings(role, schema, sources, knownSettings) as never
}

/** The settings of a tool. @throws ConfigError that names every problem */
export function readToolConfig<T extends ToolName>(tool: T, sources: Sources): ToolConfig<T> {
  const schema: z.ZodObject = toolSettings[tool]
  return readSettings(tool, schema, sources, knownSettings).config as never
}
