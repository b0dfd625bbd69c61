import * as z from 'zod'
import { describeValues } from '../../src/api/docs-page.ts'
import { openApi } from '../../src/api/openapi.ts'
import type { Route } from '../../src/api/route.ts'
import { Metrics } from '../../src/platform/metrics.ts'
import { describeSetting } from '../../src/platform/settings/describe.ts'
import { readConfig, roleSettings, toolSettings } from '../../src/roles/settings.ts'
import { sinkKinds } from '../../src/sinks/index.ts'
import { formats } from '../../src/tools/import/formats/index.ts'
import { commandsHead, commandsReference, flagsHead } from './commands.ts'
import { centralRoutes, commonRoutes, localApiRoutes, sidecarRoutes } from './routes.ts'
import {
  columnsHead,
  columnsReference,
  entryReference,
  sinkKindsHead,
  sinkKindsReference,
  sinkSettingsHead,
  sinkSettingsReference,
} from './sink-reference.ts'

/**
 * The reference parts of docs/, as rows: made from the schemas, the route tables and
 * the metrics themselves. `write-reference.ts` writes them, `docs.test.ts` holds the files to them.
 */
export type Row = readonly string[]

/** Rows by heading. */
export type Reference = Map<string, Row[]>

function settingRow(schema: z.ZodObject, name: string): Row | undefined {
  if (!(name in schema.shape)) return undefined
  const { standard, unit, range, description, required, secret } = describeSetting(schema, name)
  const shown = Array.isArray(standard) ? standard.join(',') : standard
  const usual = required
    ? 'required'
    : shown === undefined || shown === ''
      ? 'not set'
      : `\`${shown}\``
  const plainRange = unit && range.endsWith(` ${unit}`) ? range.slice(0, -unit.length - 1) : range
  const about = secret ? `${description} Secret: masked wherever settings are shown.` : description
  return [`\`${name}\``, usual, unit, plainRange, about]
}

const rowsOf = (schema: z.ZodObject) =>
  Object.keys(schema.shape).map((name) => settingRow(schema, name)!)

/** Settings of every role, and those that only tools have: name, default, unit, range, meaning. */
export function settingsReference(): Reference {
  const roles: [string, z.ZodObject][] = Object.entries(roleSettings)
  const isShared = ([name = '']: Row) => {
    const rows = roles.map(([, schema]) => String(settingRow(schema, name.slice(1, -1))))
    return new Set(rows).size === 1
  }
  const own = roles.map(([role, schema]): [string, Row[]] => [
    role,
    rowsOf(schema).filter((row) => !isShared(row)),
  ])
  const ofRoles = new Set(roles.flatMap(([, schema]) => Object.keys(schema.shape)))
  const ofTools = Object.values(toolSettings).flatMap(({ shape }) => Object.entries(shape))
  const onlyTools = z.object(Object.fromEntries(ofTools.filter(([name]) => !ofRoles.has(name))))
  return new Map([
    ['All roles', rowsOf(roleSettings.web).filter(isShared)],
    ...own,
    ['Tools', rowsOf(onlyTools)],
  ])
}
export const settingsHead: Row = ['Setting', 'Default', 'Unit', 'Range', 'Meaning']

/** Every metric: name, type, labels, meaning. */
export async function metricsReference(): Promise<Reference> {
  const metrics = new Metrics().registry.getMetricsAsArray() as unknown as {
    name: string
    help: string
    labelNames: string[]
    get(): Promise<{ type: string }>
  }[]
  const rows = await Promise.all(
    metrics.map(async (metric): Promise<Row> => {
      const { type } = await metric.get()
      const labels = [...metric.labelNames].map((label) => `\`${label}\``).join(', ')
      return [`\`${metric.name}\``, type, labels, metric.help]
    }),
  )
  const ofProcess = (row: Row) => /^`(process|nodejs)_/.test(row[0]!)
  return new Map([
    ['Metrics of wafermon', rows.filter((row) => !ofProcess(row))],
    ['Metrics of the process', rows.filter(ofProcess)],
  ])
}
export const metricsHead: Row = ['Metric', 'Type', 'Labels', 'Meaning']

const limitsOf = (role: 'local-api' | 'central') => {
  const env = { DATABASE_URL: 'postgres://db/x', SITES: 'fab1=http://x' }
  const { config } = readConfig(role, { env })
  return { defaultLimit: config.QUERY_DEFAULT_LIMIT, maxLimit: config.QUERY_MAX_LIMIT }
}

/** The routes of each role, with the limits that it has by default. */
export const routesByRole: Readonly<Record<string, readonly Route[]>> = {
  'Local API': localApiRoutes(limitsOf('local-api')),
  Sidecar: sidecarRoutes(),
  'Central API': centralRoutes(limitsOf('central')),
  'Archiver, and web beside its pages': commonRoutes(),
}

/** The routes of each role: route, scope, meaning. */
export function routesReference(): Reference {
  return new Map(
    Object.entries(routesByRole).map(([role, specs]) => [
      role,
      specs.map(({ method, path, scope, summary }) => [
        `\`${method.toUpperCase()} ${path}\``,
        scope ?? 'open',
        summary,
      ]),
    ]),
  )
}
export const routesHead: Row = ['Route', 'Scope', 'Description']

/** But for the site, which the central API takes everywhere. */
const alike = (a: Row[], b: Row[]) =>
  String(a.filter(([name]) => name !== '`site`')) ===
  String(b.filter(([name]) => name !== '`site`'))

/** The parameters of each route: name, what it takes, meaning. */
export function parametersReference(): Reference {
  const found: Reference = new Map()
  for (const [role, specs] of Object.entries(routesByRole)) {
    const { paths } = openApi({ title: role, routes: specs })
    for (const { method, path } of specs) {
      const { parameters = [] } = paths[path]![method]!
      const rows = parameters
        .filter((parameter) => parameter.in === 'query')
        .map(
          ({ name, schema, description = '' }): Row => [
            `\`${name}\``,
            describeValues(schema),
            description,
          ],
        )
      const title = `\`${method.toUpperCase()} ${path}\``
      const others = found.get(title)
      if (rows.length === 0 || (others && alike(others, rows))) continue
      found.set(others ? `${title} (${role})` : title, rows)
    }
  }
  return found
}
/** The fields of an event, one inside another written with a dot: what each takes, meaning. */
export function envelopeReference(): Reference {
  const { components } = openApi({ title: 'events', routes: sidecarRoutes() })
  return new Map([['Fields of an event', fieldsOf(components.schemas.Event as Schema)]])
}
export const envelopeHead: Row = ['Field', 'Type', 'Required', 'Meaning']

type Schema = {
  type?: unknown
  description?: string
  required?: string[]
  properties?: Record<string, Schema>
  anyOf?: Schema[]
}

function fieldsOf({ properties = {}, required = [] }: Schema, path = ''): Row[] {
  return Object.entries(properties).flatMap(([name, { description = '', ...schema }]) => {
    // A nullable field is either null or something.
    const field = schema.anyOf?.find(({ type }) => type !== 'null') ?? schema
    const needed = required.includes(name) ? 'yes' : 'no'
    const row = [
      `\`${path}${name}\``,
      describeValues(field).replace(',null', ''),
      needed,
      description,
    ]
    return [row, ...fieldsOf(field, `${path}${name}.`)]
  })
}

export const parametersHead: Row = ['Parameter', 'Values', 'Meaning']

/** A table in a file, between markers with its name. */
export type ReferenceTable = {
  file: string
  name: string
  rows: Reference
  head: Row
  /** Fewer rows than this cannot be all; 11 unless given. */
  least?: number
}

/** Every reference there is. */
export async function references(): Promise<ReferenceTable[]> {
  const { commands, flags } = await commandsReference()
  return [
    { file: 'docs/commands.md', name: 'commands', rows: commands, head: commandsHead },
    { file: 'docs/commands.md', name: 'flags', rows: flags, head: flagsHead },
    {
      file: 'docs/configuration.md',
      name: 'settings',
      rows: settingsReference(),
      head: settingsHead,
    },
    { file: 'docs/metrics.md', name: 'metrics', rows: await metricsReference(), head: metricsHead },
    { file: 'docs/api.md', name: 'routes', rows: routesReference(), head: routesHead },
    { file: 'docs/api.md', name: 'parameters', rows: parametersReference(), head: parametersHead },
    ...sinkReferences(),
    {
      file: 'docs/instrument.md',
      name: 'formats',
      rows: formatsReference(),
      head: ['Format', 'Reads'],
      least: 7,
    },
  ]
}

/** The formats of `wafermon import`. */
const formatsReference = (): Reference =>
  new Map([['Formats', formats.map(({ name, about }): Row => [`\`${name}\``, about])]])

/** One kind may be all there is. */
const sinkReferences = () => [
  {
    file: 'docs/INTEGRATIONS.md',
    name: 'kinds',
    rows: sinkKindsReference(sinkKinds),
    head: sinkKindsHead,
    least: 1,
  },
  {
    file: 'docs/INTEGRATIONS.md',
    name: 'settings of sinks',
    rows: sinkSettingsReference(sinkKinds),
    head: sinkSettingsHead,
    least: 1,
  },
  {
    file: 'docs/INTEGRATIONS.md',
    name: 'entries',
    rows: entryReference(),
    head: sinkSettingsHead,
  },
  {
    file: 'docs/INTEGRATIONS.md',
    name: 'columns',
    rows: columnsReference(),
    head: columnsHead,
  },
]

const line = (cells: readonly string[]) =>
  `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`

/** The reference as Markdown: a table under each heading. */
export function markdownOf(reference: Reference, head: Row): string {
  return [...reference]
    .map(([heading, rows]) =>
      [`### ${heading}`, '', line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n'),
    )
    .join('\n\n')
}

const begin = (name: string) => `<!-- ${name}: written by npm run docs -->`
const end = (name: string) => `<!-- end of ${name} -->`

/** Puts a reference between its markers. @throws Error when the file lacks them */
export function withReference(text: string, name: string, markdown: string): string {
  const [from, to] = [text.indexOf(begin(name)), text.indexOf(end(name))]
  if (from < 0 || to < from) throw new Error(`no markers for ${name}`)
  return `${text.slice(0, from)}${begin(name)}\n\n${markdown}\n\n${text.slice(to)}`
}

/** Reads what a file says between the markers. */
export function readReference(text: string, name: string): Reference {
  const part = text.slice(text.indexOf(begin(name)), text.indexOf(end(name)))
  const found: Reference = new Map()
  let rows: Row[] = []
  for (const one of part.split('\n')) {
    const heading = /^### (.*)$/.exec(one)?.[1]
    if (heading !== undefined) {
      rows = []
      found.set(heading, rows)
    } else if (one.startsWith('| ')) rows.push(cellsOf(one))
  }
  // A table begins with its head and the line under it.
  for (const [title, all] of found) found.set(title, all.slice(2))
  return found
}

const cellsOf = (row: string) =>
  row
    .slice(2, -2)
    .split(/(?<!\\) \| /)
    .map((cell) => cell.replaceAll('\\|', '|').trim())

/** The errors of a file, in sentences. */
export function differences(documented: Reference, real: Reference): string[] {
  const titles = new Set([...documented.keys(), ...real.keys()])
  return [...titles].flatMap((title) => {
    const [told, is] = [documented.get(title) ?? [], real.get(title) ?? []]
    const names = new Set([...told, ...is].map((row) => row[0]!))
    return [...names].flatMap((name) => {
      const [a, b] = [told, is].map((rows) => rows.find((row) => row[0] === name))
      if (!a) return [`${title}: ${name} is not documented`]
      if (!b) return [`${title}: ${name} is documented, and does not exist`]
      return a.join('|') === b.join('|') ? [] : [`${title}: ${name} is ${b.join(' | ')}`]
    })
  })
}
