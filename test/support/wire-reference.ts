import type * as z from 'zod'
import { refsIn, refTo } from '../../src/api/answers.ts'
import { describeValues } from '../../src/api/docs-page.ts'
import type { JsonObject, OpenApi } from '../../src/api/openapi.ts'
import { openApi } from '../../src/api/openapi.ts'
import { toEndStatus } from '../../src/core/event-slots.ts'
import { statuses } from '../../src/core/job.ts'
import { kinds } from '../../src/core/kinds.ts'
import { knownMetadata } from '../../src/core/known-metadata.ts'
import { internalProblem, problemType, statusByCode } from '../../src/platform/problem.ts'
import { describeSetting } from '../../src/platform/settings/describe.ts'
import { readConfig, roleSettings } from '../../src/roles/settings.ts'
import type { Reference, Row } from './reference.ts'
import {
  envelopeHead,
  envelopeReference,
  metricsHead,
  metricsReference,
  parametersHead,
  parametersReference,
  routesByRole,
} from './reference.ts'
import { normalEvent, smallestEvent } from './wire-events.ts'

/*
 * The tables of docs/wire.md, made from the schemas, the fold, the routes and the metrics
 * themselves.
 */

export const kindsHead: Row = ['Kind', 'Default status', 'Ends the job with', 'May be shed']

/** Each kind of event: the status without one given, and how it ends a job. */
export function kindsReference(): Reference {
  const rows = kinds.map((kind): Row => {
    const ends = statuses.filter((status) => toEndStatus(normalEvent({ kind, status })) === status)
    const open = kind === 'queued' ? 'queued' : 'running'
    const standard = toEndStatus(normalEvent({ kind })) ?? open
    const tick = kind === 'progress' || kind === 'metric'
    return [`\`${kind}\``, `\`${standard}\``, ends.join(', '), tick ? 'yes' : 'no']
  })
  return new Map([['Kinds of events', rows]])
}

export const knownMetadataHead: Row = ['Name', 'Type', 'Meaning']

/** The names in metadata that mean something. */
export const knownMetadataReference = (): Reference =>
  new Map([
    [
      'Well-known metadata',
      Object.entries(knownMetadata).map(
        ([name, [type, about]]): Row => [`\`${name}\``, type, about],
      ),
    ],
  ])

export const limitsHead: Row = ['Limit', 'By default', 'Setting']

type FixedLimit = {
  most: number
  unit: string
  /** An event with this much of it. */
  event: (much: number) => object
  /** Beginning of the field that a refusal names; absent where more is cut. */
  field?: string
}

/** `{"a":{"a":...}}`, this many objects deep. */
const nested = (depth: number): object => (depth === 1 ? {} : { a: nested(depth - 1) })

/** Limits that no setting changes, each with an event to try it with. */
export const fixedLimits: Readonly<Record<string, FixedLimit>> = {
  '`event.metadata`, as JSON; more is cut': {
    most: 32_768,
    unit: 'bytes',
    event: (bytes) => smallestEvent({ metadata: { x: 'y'.repeat(bytes - '{"x":""}'.length) } }),
  },
  '`event.metrics`': {
    most: 64,
    unit: 'entries',
    event: (count) =>
      smallestEvent({
        metrics: Object.fromEntries(Array.from({ length: count }, (_, i) => [`m${i}`, i])),
      }),
    field: 'event.metrics',
  },
  'Depth, the envelope included': {
    most: 32,
    unit: 'objects and lists',
    // The envelope, `event` and `metadata` are three of them.
    event: (depth) => smallestEvent({ metadata: { a: nested(depth - 3) } }),
    field: 'event.metadata.a',
  },
}

const settings = {
  'A body, as sent': 'MAX_BODY_BYTES',
  'A body, decompressed': 'MAX_DECOMPRESSED_BYTES',
  'Events in one request': 'MAX_BATCH_ITEMS',
  'An event, as JSON': 'MAX_EVENT_BYTES',
  'A clock ahead, before it is corrected': 'MAX_SKEW_S',
} as const

/** The limits of what may be sent, by default or fixed. */
export function wireLimits(): Row[] {
  const { config } = readConfig('sidecar', { env: {} })
  const unit = (name: string) => describeSetting(roleSettings.sidecar, name).unit
  return [
    ...Object.entries(settings).map(
      ([name, setting]): Row => [name, `${config[setting]} ${unit(setting)}`, `\`${setting}\``],
    ),
    ...Object.entries(fixedLimits).map(
      ([name, { most, unit }]): Row => [name, `${most} ${unit}`, 'fixed'],
    ),
  ]
}
export const limitsReference = (): Reference => new Map([['Limits of what is sent', wireLimits()]])

export const endpointsHead: Row = ['Route', 'Scope', 'Roles', 'Answers']

/** Every route of every role. */
export function endpointsReference(): Reference {
  const routes = new Map<string, { scope: string; answers: string; roles: string[] }>()
  for (const [role, specs] of Object.entries(routesByRole)) {
    for (const { method, path, scope, answer } of specs) {
      const name = `\`${method.toUpperCase()} ${path}\``
      const answers = Object.entries(answer).map(([type, shape]) =>
        shape === 'text' ? `\`${type}\`` : shape.map((one) => `\`${nameOf(one)}\``).join(' or '),
      )
      const known = routes.get(name)
      if (known) known.roles.push(role)
      else routes.set(name, { scope: scope ?? 'open', answers: answers.join(', '), roles: [role] })
    }
  }
  const rows = [...routes].map(([name, { scope, roles, answers }]): Row => {
    const all = roles.length === Object.keys(routesByRole).length
    return [name, scope, all ? 'every role' : roles.join(', '), answers]
  })
  return new Map([['Endpoints', rows]])
}

const nameOf = (schema: z.ZodType) => refsIn(refTo(schema)).join()

export const shapesHead: Row = ['Field', 'Type', 'Present', 'Meaning']

/** The fields of every shape that is answered, in the order in which they are sent. */
export function shapesReference(): Reference {
  const found: Reference = new Map()
  for (const specs of Object.values(routesByRole)) {
    const document = openApi({ title: 'any', routes: specs })
    for (const [name, schema] of Object.entries(document.components.schemas)) {
      if (/^Event|List$/.test(name)) continue
      found.set(name, fieldsOf(schema, document, ''))
    }
    for (const [name, schema] of Object.entries(document.components.schemas)) {
      for (const [item, rows] of itemsOf(name, schema, document)) found.set(item, rows)
    }
  }
  for (const name of ['Job', 'Subjob']) shorten(found, `${name}Detail`, name)
  return new Map([...found].sort(([a], [b]) => (a < b ? -1 : 1)))
}

/** Says what a shape adds to another one, instead of all of it again. */
function shorten(found: Reference, name: string, base: string): void {
  const known = new Set((found.get(base) ?? []).map(String))
  const added = (found.get(name) ?? []).filter((row) => !known.has(String(row)))
  found.delete(name)
  found.set(`${name}: a ${base}, and`, added)
}

/** Items of lists that have no name of their own, and the fields around them. */
function itemsOf(name: string, schema: JsonObject, document: OpenApi): [string, Row[]][] {
  if (!name.endsWith('List')) return []
  const { items, ...around } = schema.properties as Record<string, JsonObject>
  const item = (items?.items ?? {}) as JsonObject
  const known = ['Job', 'Subjob', 'Event', 'Reject'].includes(name.replace(/List$/, ''))
  const rows: [string, Row[]][] = known
    ? []
    : [[name.replace(/List$/, ''), fieldsOf(item, document, '')]]
  const required = (schema.required ?? []) as string[]
  const list = fieldsOf({ properties: around, required }, document, '')
  return name === 'JobList' ? [...rows, ['A list, around its items', list]] : rows
}

function fieldsOf(schema: JsonObject, document: OpenApi, path: string): Row[] {
  const { properties = {}, required = [] } = resolved(schema, document) as {
    properties?: Record<string, JsonObject>
    required?: string[]
  }
  return Object.entries(properties).flatMap(([name, property]) => {
    const choices = (property.anyOf ?? [property]) as JsonObject[]
    const field = choices.find(({ type }) => type !== 'null') ?? property
    const nullable = choices.length > 1 || isNullable(field) ? ' or null' : ''
    const list = field.type === 'array' ? (field.items as JsonObject) : undefined
    const type = list ? `list of ${typeOf(list, document)}` : typeOf(field, document)
    const present = required.includes(name) ? 'always' : 'may be absent'
    const description = property.description ?? field.description ?? ''
    const row: Row = [`\`${path}${name}\``, type + nullable, present, String(description)]
    const inner = list ? fieldsOf(list, document, `${path}${name}[].`) : []
    return [row, ...inner, ...(list ? [] : fieldsOf(field, document, `${path}${name}.`))]
  })
}

function resolved(schema: JsonObject, { components }: OpenApi): JsonObject {
  const name = /(\w+)$/.exec(String(schema.$ref ?? ''))?.[1]
  return name === undefined ? schema : (components.schemas[name] ?? {})
}

const isNullable = ({ type }: JsonObject) => Array.isArray(type) && type.includes('null')

function typeOf(schema: JsonObject, document: OpenApi): string {
  if (schema.const !== undefined) return String(schema.const)
  const named = refsIn(schema.anyOf)
  if (named.length > 0) return named.join(' or ')
  const { maximum, minimum, ...rest } = resolved(schema, document)
  const type = Array.isArray(rest.type) ? rest.type.find((one) => one !== 'null') : rest.type
  // The bounds of what JavaScript counts exactly are those of no field.
  const bounds = {
    ...(minimum === Number.MIN_SAFE_INTEGER ? {} : minimum !== undefined && { minimum }),
    ...(maximum === Number.MAX_SAFE_INTEGER ? {} : maximum !== undefined && { maximum }),
  }
  return describeValues({ ...rest, type, ...bounds })
}

export const problemsHead: Row = ['Type', 'Status', 'Title']

/** Every type of problem document. */
export function problemsReference(): Reference {
  const rows = Object.entries(statusByCode).map(
    ([code, status]): Row => [
      `\`${problemType}${code}\``,
      String(status),
      code.replaceAll('_', ' '),
    ],
  )
  const { type, status, title } = internalProblem
  return new Map([['Types of problems', [...rows, [`\`${type}\``, String(status), title]]]])
}

/** The metrics, those of the process left out. */
export async function contractMetricsReference(): Promise<Reference> {
  const all = await metricsReference()
  return new Map([...all].filter(([title]) => title === 'Metrics of wafermon'))
}

/** The references of docs/wire.md. */
export async function wireReferences() {
  const page = (name: string, rows: Reference, head: Row) => ({
    file: 'docs/wire.md',
    name,
    rows,
    head,
    least: 5,
  })
  return [
    page('envelope', envelopeReference(), envelopeHead),
    page('known-metadata', knownMetadataReference(), knownMetadataHead),
    page('kinds', kindsReference(), kindsHead),
    page('limits', limitsReference(), limitsHead),
    page('endpoints', endpointsReference(), endpointsHead),
    page('parameters', parametersReference(), parametersHead),
    page('shapes', shapesReference(), shapesHead),
    page('problems', problemsReference(), problemsHead),
    page('contract-metrics', await contractMetricsReference(), metricsHead),
  ]
}
