import { takes } from '../../src/api/docs-page.ts'
import type { JsonObject, OpenApi } from '../../src/api/openapi.ts'
import { openApi } from '../../src/api/openapi.ts'
import { kinds } from '../../src/core/event.ts'
import { endStatusOf } from '../../src/core/fold.ts'
import { statuses } from '../../src/core/job.ts'
import { internalProblem, problemType, statusOf } from '../../src/platform/problem.ts'
import type { Reference, Row } from './reference.ts'
import { metricsReference, routesByRole } from './reference.ts'
import { eventOf } from './wire-events.ts'

/*
 * The tables of docs/wire.md, made from the schemas, the fold, the routes and the metrics
 * themselves.
 */

export const kindsHead: Row = [
  'Kind',
  'Default status',
  'Ends the job with',
  'May be refused first',
]

/** Each kind of event: the status without one given, and how it ends a job. */
export function kindsReference(): Reference {
  const rows = kinds.map((kind): Row => {
    const ends = statuses.filter((status) => endStatusOf(eventOf({ kind, status })) !== undefined)
    const standard = endStatusOf(eventOf({ kind })) ?? 'running'
    const tick = kind === 'progress' || kind === 'metric'
    return [`\`${kind}\``, `\`${standard}\``, ends.join(', '), tick ? 'yes' : 'no']
  })
  return new Map([['Kinds of events', rows]])
}

export const endpointsHead: Row = ['Route', 'Scope', 'Roles', 'Answers']

/** Every route of every role. */
export function endpointsReference(): Reference {
  const routes = new Map<string, { scope: string; answers: string; roles: string[] }>()
  for (const [role, specs] of Object.entries(routesByRole)) {
    for (const { method, path, scope, answer } of specs) {
      const name = `\`${method.toUpperCase()} ${path}\``
      const answers = Object.entries(answer).map(([type, shape]) =>
        shape === 'text' ? `\`${type}\`` : `\`${shape}\``,
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
  return new Map([...found].sort(([a], [b]) => (a < b ? -1 : 1)))
}

/** Items of lists that have no name of their own, and what stands around them. */
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
    const nullable = choices.length > 1 ? ' or null' : ''
    const list = field.type === 'array' ? (field.items as JsonObject) : undefined
    const type = list ? `list of ${typeOf(list, document)}` : typeOf(field, document)
    const present = required.includes(name) ? 'always' : 'may be absent'
    const { description = '' } = property as { description?: string }
    const row: Row = [`\`${path}${name}\``, type + nullable, present, description]
    const inner = list ? fieldsOf(list, document, `${path}${name}[].`) : []
    return [row, ...inner, ...(list ? [] : fieldsOf(field, document, `${path}${name}.`))]
  })
}

function resolved(schema: JsonObject, { components }: OpenApi): JsonObject {
  const name = /(\w+)$/.exec(String(schema.$ref ?? ''))?.[1]
  return name === undefined ? schema : (components.schemas[name] ?? {})
}

const typeOf = (schema: JsonObject, document: OpenApi) =>
  schema.const !== undefined ? String(schema.const) : takes(resolved(schema, document))

export const problemsHead: Row = ['Type', 'Status', 'Title']

/** Every type of problem document. */
export function problemsReference(): Reference {
  const rows = Object.entries(statusOf).map(
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
