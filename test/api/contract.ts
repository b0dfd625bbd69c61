import assert from 'node:assert/strict'
import { Ajv2020 } from 'ajv/dist/2020.js'
import { type OpenApi, openApi } from '../../src/api/openapi.ts'
import type { Declaration } from '../../src/api/route.ts'
import { parseTime } from '../../src/core/time.ts'
import { isUuid } from '../../src/core/uuid.ts'

/** Answers requests: an app in this process, or a server. */
export type Fetch = (path: string, init?: RequestInit) => Promise<Response> | Response

/**
 * Checks every answer against the OpenAPI document of the routes: its status and media type must be
 * documented, its JSON must be valid, and no field may be undocumented.
 */
export function underContract(routes: readonly Declaration[], fetch: Fetch): Fetch {
  const document = openApi({ title: 'test', routes, strict: true })
  const ajv = new Ajv2020({ strict: false, allErrors: true })
  ajv.addFormat('uuid', isUuid)
  ajv.addFormat('date-time', (text: string) => parseTime(text) !== undefined)
  ajv.addSchema({ $id: 'doc', ...document })
  return async (path, init) => {
    const response = await fetch(path, init)
    const where = findSchema(document, path, init?.method ?? 'GET', response)
    if (where === undefined) return response
    const validate = ajv.compile({ $ref: `doc#${where}` })
    const valid = validate(await response.clone().json())
    assert.ok(valid, `${path} ${response.status}: ${ajv.errorsText(validate.errors)}`)
    return response
  }
}

/** JSON pointer to the schema of an answer; undefined for answers that have none. */
function findSchema(document: OpenApi, path: string, method: string, response: Response) {
  const template = templateOf(document, path)
  const operation = template && document.paths[template]?.[method.toLowerCase()]
  if (!template || !operation || response.status === 405) return undefined
  const documented = operation.responses[response.status]
  assert.ok(documented, `${method} ${path} answered ${response.status}, which is not documented`)
  const type = (response.headers.get('content-type') ?? '').split(';')[0]!
  const content = documented.content as Record<string, { schema?: object }>
  assert.ok(content[type], `${method} ${path} ${response.status} answered ${type}, not documented`)
  if (content[type].schema === undefined) return undefined
  return [
    '',
    'paths',
    template,
    method.toLowerCase(),
    'responses',
    String(response.status),
    'content',
    type,
    'schema',
  ]
    .map((part) => part.replaceAll('~', '~0').replaceAll('/', '~1'))
    .map(encodeURIComponent)
    .join('/')
}

function templateOf(document: OpenApi, path: string): string | undefined {
  const plain = path.replace(/^https?:\/\/[^/]+/, '').split('?')[0]!
  return Object.keys(document.paths).find((template) =>
    new RegExp(`^${template.replaceAll(/\{\w+\}/g, '[^/]+')}$`).test(plain),
  )
}
