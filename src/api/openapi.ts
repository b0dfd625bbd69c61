import * as z from 'zod'
import { version } from '../platform/version.ts'
import { type AnswerName, answers } from './answers.ts'
import { uuidMessage } from './query-params.ts'
import type { RouteSpec } from './route-spec.ts'

export type JsonObject = { [name: string]: unknown }

export type Parameter = {
  name: string
  in: 'path' | 'query' | 'header'
  required: boolean
  description?: string
  schema: JsonObject
}

export type Operation = {
  tags: string[]
  summary: string
  description?: string
  operationId: string
  security: JsonObject[]
  parameters?: Parameter[]
  requestBody?: JsonObject
  responses: Record<string, JsonObject>
  'x-examples'?: readonly { query: string; about: string }[]
  'x-body'?: string
}

export type OpenApi = {
  openapi: string
  info: JsonObject
  servers: JsonObject[]
  paths: Record<string, Record<string, Operation>>
  components: { schemas: Record<string, JsonObject>; securitySchemes: JsonObject }
}

export type OpenApiOptions = {
  /** The role, as the title says it. */
  title: string
  routes: readonly RouteSpec[]
  /** Closes the shapes of answers: for tests, which must see a field that nobody documented. */
  strict?: boolean
}

/** The OpenAPI 3.1 document of one role, made from its route table and the schemas that it parses with. */
export function openApi({ title, routes, strict = false }: OpenApiOptions): OpenApi {
  const paths: OpenApi['paths'] = {}
  for (const route of routes) {
    paths[route.path] = { ...paths[route.path], [route.method]: operation(route) }
  }
  return {
    openapi: '3.1.0',
    info: {
      title: `wafermon ${title}`,
      version,
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
      description:
        'Times are RFC 3339 with an offset and answered in UTC with microseconds. Failures are problem documents (RFC 9457). Answers may get more fields; ignore those you do not know.',
    },
    servers: [{ url: '/' }],
    paths,
    components: {
      schemas: componentsOf(routes, strict),
      securitySchemes: { token: { type: 'http', scheme: 'bearer' } },
    },
  }
}

function operation(route: RouteSpec): Operation {
  const { tag, summary, description, scope, body, examples } = route
  const parameters = parametersOf(route)
  return {
    tags: [tag],
    summary,
    ...(description && { description }),
    operationId: operationId(route),
    // Without a tokens file a role is open: the empty object says that a token is not always needed.
    security: scope ? [{}, { token: [scope] }] : [],
    ...(parameters.length > 0 && { parameters }),
    ...(body && {
      requestBody: { required: true, content: contentOf(body.mediaTypes, ref(body.schema)) },
    }),
    responses: responsesOf(route),
    ...(examples && { 'x-examples': examples }),
    ...(body && { 'x-body': body.example }),
  }
}

const operationId = ({ method, path }: RouteSpec) =>
  [method, ...path.split(/[^A-Za-z0-9]+/).filter((part) => part !== '' && part !== 'v1')].join('_')

function parametersOf({ path, query, id }: RouteSpec): Parameter[] {
  const inPath = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]): Parameter => {
    const takes = id === 'number' ? numberId : uuidId
    return { name: name!, in: 'path', required: true, ...takes }
  })
  const inQuery = Object.entries(query?.shape ?? {}).map(([name, setting]) =>
    queryParameter(name, setting as z.ZodType),
  )
  return [...inPath, ...inQuery]
}

const uuidId = { description: `It ${uuidMessage}.`, schema: { type: 'string', format: 'uuid' } }
const numberId = { description: 'As the list shows it.', schema: { type: 'integer', minimum: 1 } }

function queryParameter(name: string, setting: z.ZodType): Parameter {
  const {
    $schema: _,
    description,
    repeatable: __,
    ...schema
  } = z.toJSONSchema(setting, { io: 'input' })
  // zod leaves the default out where what is read is not what is given.
  const standard = setting.meta()?.default
  return {
    name,
    in: 'query',
    required: !setting.isOptional(),
    ...(description && { description }),
    schema: { ...schema, ...(standard !== undefined && { default: standard }) },
  }
}

const ref = (name: AnswerName) => ({ $ref: home + name })
const contentOf = (types: readonly string[], schema: JsonObject) =>
  Object.fromEntries(types.map((type) => [type, { schema }]))

const problemTitles: Record<number, string> = {
  400: 'The body cannot be read.',
  401: 'A token is needed.',
  403: 'The token lacks the scope.',
  404: 'There is no such thing.',
  405: 'The path does not know the method; Allow has those it knows.',
  413: 'The body is too large.',
  415: 'The encoding is not known.',
  422: 'Something given is wrong; `field` names it.',
  502: 'A site that is needed does not answer.',
  503: 'Not now; Retry-After may say when.',
}

function responsesOf({
  path,
  answer,
  scope,
  problems = [],
}: RouteSpec): Record<string, JsonObject> {
  const content = Object.fromEntries(
    Object.entries(answer).map(([type, name]) => [
      type,
      name === 'text' ? {} : { schema: schemaOf(path, name) },
    ]),
  )
  const failures = [...problems, 405, ...(scope ? [401, 403] : [])].sort()
  const health =
    answer['application/json'] === 'Health' ? { 503: { description: 'It cannot.', content } } : {}
  return {
    200: { description: 'It worked.', content },
    ...Object.fromEntries(failures.map((status) => [status, problem(status)])),
    ...health,
  }
}

/** By its id one finds a job or a subjob. */
const schemaOf = (path: string, name: AnswerName) =>
  path === '/v1/jobs/{id}' ? { anyOf: [ref('JobDetail'), ref('SubjobDetail')] } : ref(name)

const problem = (status: number) => ({
  description: problemTitles[status],
  content: contentOf(['application/problem+json'], ref('Problem')),
})

const home = '#/components/schemas/'

/** The named schemas that the routes need, and those that these need. */
function componentsOf(routes: readonly RouteSpec[], strict: boolean): Record<string, JsonObject> {
  const all = allComponents(strict)
  const wanted = ['Problem', ...routes.flatMap(namesIn)]
  const used = new Set<string>()
  for (let name = wanted.pop(); name !== undefined; name = wanted.pop()) {
    if (used.has(name)) continue
    used.add(name)
    for (const [, other] of JSON.stringify(all[name]).matchAll(
      /"#\/components\/schemas\/(\w+)"/g,
    )) {
      wanted.push(other!)
    }
  }
  return Object.fromEntries([...used].sort().map((name) => [name, all[name]!]))
}

function namesIn({ path, answer, body }: RouteSpec): string[] {
  const names = Object.values(answer).filter((name) => name !== 'text')
  return [
    ...names,
    ...(body ? [body.schema] : []),
    ...(path === '/v1/jobs/{id}' ? ['SubjobDetail'] : []),
  ]
}

function allComponents(strict: boolean): Record<string, JsonObject> {
  const named = z.registry<{ id: string }>()
  for (const [id, schema] of Object.entries(answers)) named.add(schema as z.ZodType, { id })
  // What is sent may get more fields one day: only tests are told that there are no others.
  const io = strict ? 'output' : 'input'
  const { schemas } = z.toJSONSchema(named, { io, uri: (id) => home + id })
  return Object.fromEntries(
    Object.entries(schemas).map(([name, { $schema: _, $id: __, id: ___, ...schema }]) => [
      name,
      schema,
    ]),
  )
}
