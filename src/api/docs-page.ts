import { createHash } from 'node:crypto'
import { html, raw } from 'hono/html'
import type { HtmlEscapedString } from 'hono/utils/html'
import { refsIn } from './answers.ts'
import type { JsonObject, OpenApi, Operation, Parameter } from './openapi.ts'

/** Markup that a template inserts unescaped. */
type Html = HtmlEscapedString | Promise<HtmlEscapedString>

const style = `
:root { color-scheme: light dark; --edge: #8884; --soft: #8882; --link: light-dark(#0b57d0, #8ab4f8) }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem }
h1 { margin-bottom: 0 } h2 { margin-top: 2.5rem; border-bottom: 1px solid var(--edge) }
a { color: var(--link) } code, pre { font: 14px/1.45 ui-monospace, monospace }
pre { background: var(--soft); padding: .6rem .8rem; overflow-x: auto; border-radius: 4px }
nav ul { columns: 20rem; padding-left: 1.2rem }
section { margin: 1.5rem 0 2.5rem } h3 { margin-bottom: .3rem }
.method { display: inline-block; min-width: 3.2rem; font-weight: 700 }
table { border-collapse: collapse; width: 100% } .scroll { overflow-x: auto }
th, td { text-align: left; vertical-align: top; padding: .3rem .6rem .3rem 0; border-top: 1px solid var(--edge) }
th { font-weight: 600 } td:first-child { white-space: nowrap } summary { cursor: pointer }
.quiet { opacity: .75 }
`
const styleHash = createHash('sha256').update(style).digest('base64')

/** Nothing is loaded and nothing runs; the one style on the page is allowed by its hash. */
export const docsPolicy = `default-src 'none'; style-src 'sha256-${styleHash}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`

/** The OpenAPI document as a page to work from: complete in itself, without scripts. */
export function docsPage(document: OpenApi): string {
  const { title, version, description } = document.info as Record<string, string>
  const operations = operationsOf(document)
  const tags = [...new Set(operations.flatMap(({ operation }) => operation.tags))]
  return String(html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${title}: HTTP interface</title>
<style>${raw(style)}</style>
</head>
<body>
<header>
<h1>${title}</h1>
<p class="quiet">HTTP interface, version ${version}. For machines: <a href="/openapi.json">/openapi.json</a></p>
<p>${prose(description)}</p>
<p>The examples read the address of this role, and a token where tokens are required, from shell variables:</p>
<pre>WAFERMON=http://127.0.0.1:18000 TOKEN=wfm_...</pre>
</header>
<nav aria-label="Routes">${tags.map((tag) => tagIndex(tag, operations))}</nav>
<main>
${tags.map((tag) => [html`<h2>${tag}</h2>`, operations.filter(isOf(tag)).map(section)])}
<h2 id="schemas">Schemas</h2>
${Object.entries(document.components.schemas).map(([name, schema]) => shape(name, schema))}
</main>
</body>
</html>`)
}

type Listed = { method: string; path: string; operation: Operation }

function operationsOf({ paths }: OpenApi): Listed[] {
  return Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ method, path, operation })),
  )
}

const isOf = (tag: string) => (listed: Listed) => listed.operation.tags.includes(tag)

const tagIndex = (tag: string, operations: Listed[]): Html =>
  html`<p><strong>${tag}</strong></p><ul>${operations
    .filter(isOf(tag))
    .map(
      ({ method, path, operation }) =>
        html`<li><a href="#${operation.operationId}"><code>${method.toUpperCase()} ${path}</code></a> ${operation.summary}</li>`,
    )}</ul>`

const section = ({ method, path, operation }: Listed): Html => html`
<section id="${operation.operationId}">
<h3><code><span class="method">${method.toUpperCase()}</span> ${path}</code></h3>
<p>${operation.summary}. ${prose(operation.description)} ${scopeOf(operation)}</p>
${operation.parameters ? parameterTable(operation.parameters) : ''}
<pre>${curls(method, path, operation).join('\n')}</pre>
${operation['x-body'] ? html`<p>For example:</p><pre>${operation['x-body']}</pre>` : ''}
${answerTable(operation)}
</section>`

/** Text with code between backticks. */
const prose = (text = ''): (Html | string)[] =>
  text.split('`').map((part, index) => (index % 2 === 1 ? html`<code>${part}</code>` : part))

function scopeOf({ security }: Operation): string {
  const token = security.find((way) => 'token' in way) as { token: string[] } | undefined
  return token
    ? `Requires scope ${token.token.join(', ')} where tokens are required.`
    : 'No token required.'
}

const parameterTable = (parameters: Parameter[]): Html => html`
<div class="scroll" tabindex="0" role="region" aria-label="Parameters"><table>
<thead><tr><th>Parameter</th><th>Values</th><th>Meaning</th></tr></thead>
<tbody>${parameters.map(
  ({ name, in: where, schema, description }) => html`
<tr><td><code>${name}</code>${where === 'path' ? ' (path)' : ''}</td><td>${describeValues(schema)}</td><td>${prose(description)}</td></tr>`,
)}</tbody></table></div>`

/** The values that a parameter takes, in words: `whole number 1 to 10000; default 1000`. */
export function describeValues(schema: JsonObject): string {
  const {
    type,
    format,
    enum: words,
    minimum,
    maximum,
    minLength,
    maxLength,
    default: standard,
  } = schema
  const kind = Array.isArray(words) ? words.join(', ') : nameOf(type, format)
  const least = maximum === undefined ? `${minimum} or greater` : `${minimum} to ${maximum}`
  const range = minimum === undefined ? '' : least
  const length = maxLength === undefined ? '' : `${minLength ?? 0} to ${maxLength} characters`
  const all = [kind, range, length].filter((word) => word !== '').join(' ')
  return standard === undefined ? all : `${all}; default ${standard}`
}

function nameOf(type: unknown, format: unknown): string {
  if (format === 'date-time') return 'RFC 3339 time'
  if (format === 'uuid') return 'UUID'
  return type === 'integer' ? 'whole number' : type === 'string' ? 'text' : String(type ?? 'any')
}

const idExample = ({ parameters = [] }: Operation) =>
  parameters.some(({ in: where, schema }) => where === 'path' && schema.type === 'integer')
    ? '1'
    : '0193581e-7c42-7d10-9a35-6f0c41c2b7e8'

/** Lines to paste into a shell. */
function curls(method: string, path: string, operation: Operation): string[] {
  const example = path.replace('{id}', idExample(operation))
  const token = operation.security.length > 0 ? ` -H "Authorization: Bearer $TOKEN"` : ''
  if (method === 'post' && !operation.requestBody)
    return [`curl -sS -X POST${token} "$WAFERMON${example}"`]
  if (method === 'post') {
    return [
      `curl -sS${token} -H 'Content-Type: application/json' --data @event.json "$WAFERMON${example}"`,
    ]
  }
  const content = operation.responses['200']?.content as JsonObject
  const quiet = 'text/event-stream' in content ? '-sSN' : '-sS'
  const plain = `curl ${quiet}${token} "$WAFERMON${example}"`
  const others = operation['x-examples'] ?? []
  return [
    plain,
    ...others.map(
      ({ query, about }) => `# ${about}\ncurl ${quiet}${token} "$WAFERMON${example}?${query}"`,
    ),
  ]
}

const answerTable = ({ responses }: Operation): Html => html`
<div class="scroll" tabindex="0" role="region" aria-label="Answers"><table>
<thead><tr><th>Status</th><th>Answer</th><th>Meaning</th></tr></thead>
<tbody>${Object.entries(responses).map(
  ([status, response]) => html`
<tr><td>${status}</td><td>${contents(response)}</td><td>${String(response.description)}</td></tr>`,
)}</tbody></table></div>`

function contents({ content }: JsonObject): Html[] {
  return Object.entries((content ?? {}) as Record<string, { schema?: JsonObject }>).map(
    ([type, { schema }], index) =>
      html`${index > 0 ? ', ' : ''}<code>${type}</code> ${refs(schema)}`,
  )
}

const refs = (schema: JsonObject | undefined): Html[] =>
  refsIn(schema).map((name) => html`<a href="#shape-${name}">${name}</a> `)

const shape = (name: string, schema: JsonObject): Html => html`
<section id="shape-${name}">
<h3>${name}</h3>
${schema.description ? html`<p>${String(schema.description)}</p>` : ''}
<details><summary>JSON Schema</summary><pre>${JSON.stringify(schema, null, 2)}</pre></details>
</section>`
