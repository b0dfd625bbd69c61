import * as z from 'zod'
import { must } from '../core/must.ts'
import { version } from '../platform/version.ts'
import { makeComponents, problem, refsIn, refTo } from './answers.ts'
import { uuidId } from './path-id.ts'
import type { Declaration } from './route.ts'

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
  /** Name of the role in the title. */
  title: string
  routes: readonly Declaration[]
  /** Closes the shapes of answers: for tests, which must find undocumented fields. */
  strict?: boolean
}

/** The OpenAPI 3.1 document of one role, made from the declarations of its routes. */
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
        'Times are RFC 3339 with an offset; answers have them in UTC with microseconds. Errors are problem documents (RFC 9457). New fields may be added to answers; ignore fields you do not know.',
    },
    servers: [{ url: '/' }],
    paths,
    components: {
      schemas: componentsOf(paths, strict),
      securitySchemes: { token: { type: 'http', scheme: 'bearer' } },
    },
  }
}

function operation(route: Declaration): Operation {
  const { tag, summary, description, scope, body, examples = [] } = route
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
      requestBody: { required: true, content: contentOf(body.mediaTypes, refTo(body.schema)) },
    }),
    responses: responsesOf(route),
    ...(examples.length > 0 && { 'x-examples': examples }),
    ...(body && { 'x-body': body.example }),
  }
}

const operationId = ({ method, path }: Declaration) =>
  [method, ...path.split(/[^A-Za-z0-9]+/).filter((part) => part !== '' && part !== 'v1')].join('_')

function parametersOf({ path, query, id = uuidId }: Declaration): Parameter[] {
  const { description, schema } = id
  const inPath = [...path.matchAll(/\{(\w+)\}/g)].map(
    ([, name = '']): Parameter => ({ name, in: 'path', required: true, description, schema }),
  )
  const inQuery = Object.entries(query?.shape ?? {}).map(([name, setting]) =>
    queryParameter(name, setting as z.ZodType),
  )
  return [...inPath, ...inQuery]
}

function queryParameter(name: string, setting: z.ZodType): Parameter {
  const {
    $schema: _,
    description,
    repeatable: __,
    ...schema
  } = z.toJSONSchema(setting, { io: 'input' })
  // zod omits the default of a parameter whose value is transformed.
  const standard = setting.meta()?.default
  return {
    name,
    in: 'query',
    required: !setting.isOptional(),
    ...(description && { description }),
    schema: { ...schema, ...(standard !== undefined && { default: standard }) },
  }
}

const contentOf = (types: readonly string[], schema: JsonObject) =>
  Object.fromEntries(types.map((type) => [type, { schema }]))

const problemTitles: Record<number, string> = {
  400: 'The body cannot be read.',
  401: 'A token is required.',
  403: 'The token lacks the scope.',
  404: 'Not found.',
  405: 'Method not allowed; see Allow.',
  409: 'It conflicts with how things are now.',
  413: 'The body is too large.',
  415: 'The content encoding or type is not supported.',
  422: 'An input is invalid; `field` names it.',
  502: 'A required site does not answer.',
  503: 'Temporarily unavailable; Retry-After may say when to retry.',
}

function responsesOf(route: Declaration): Record<string, JsonObject> {
  const { answer, alsoAnswers = {}, scope, problems = [] } = route
  const content = Object.fromEntries(
    Object.entries(answer).map(([type, shapes]) => [
      type,
      shapes === 'text' ? {} : { schema: anyOf(shapes.map(refTo)) },
    ]),
  )
  const failures = [...problems, 405, ...(scope ? [401, 403] : [])].sort()
  return {
    200: { description: 'Success.', content },
    ...Object.fromEntries(failures.map((status) => [status, problemResponse(status)])),
    ...Object.fromEntries(
      Object.entries(alsoAnswers).map(([status, description]) => [
        status,
        { description, content },
      ]),
    ),
  }
}

const anyOf = ([first = {}, ...others]: JsonObject[]): JsonObject =>
  others.length === 0 ? first : { anyOf: [first, ...others] }

const problemResponse = (status: number) => ({
  description: problemTitles[status],
  content: contentOf(['application/problem+json'], refTo(problem)),
})

/** The named schemas that the operations refer to, and those that these refer to. */
function componentsOf(paths: OpenApi['paths'], strict: boolean): Record<string, JsonObject> {
  const all = makeComponents(strict)
  const wanted = refsIn(paths)
  const used = new Set<string>()
  for (let name = wanted.pop(); name !== undefined; name = wanted.pop()) {
    if (used.has(name)) continue
    used.add(name)
    wanted.push(...refsIn(all[name]))
  }
  return Object.fromEntries(
    [...used].sort().map((name) => [name, must(all[name], 'every reference is to a named schema')]),
  )
}
