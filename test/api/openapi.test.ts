import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { describe, test } from 'node:test'
import type { Hono } from 'hono'
import { pino } from 'pino'
import { ingestRoutes } from '../../src/api/ingest.ts'
import { honoPath } from '../../src/api/method-not-allowed.ts'
import type { OpenApi } from '../../src/api/openapi.ts'
import { ingestSpecs, rejectSpecs } from '../../src/api/other-specs.ts'
import { rejectRoutes } from '../../src/api/rejects.ts'
import { aboutRoutes } from '../../src/api/role-routes.ts'
import type { RouteSpec } from '../../src/api/route-spec.ts'
import { Auth } from '../../src/platform/auth.ts'
import { type CentralConfig, readConfig } from '../../src/platform/config.ts'
import { createApp } from '../../src/platform/http.ts'
import { Lifecycle } from '../../src/platform/lifecycle.ts'
import { Metrics } from '../../src/platform/metrics.ts'
import { centralApp } from '../../src/roles/central.ts'
import { readApp, routes } from './read-app.ts'

const log = pino({ level: 'silent' })
const auth = new Auth({ anonymous: [] })
const metrics = new Metrics()
const unused = () => {
  throw new Error('nobody asks in this test')
}

function roleApp(parts: Hono[], specs: RouteSpec[]): Hono {
  const app = createApp({ log, metrics })
  for (const part of parts) app.route('/', part)
  const health = { service: 'test', check: () => ({ ready: true, status: 'ok' as const }) }
  return app.route('/', aboutRoutes({ title: 'test', auth, metrics, health, routes: specs }))
}

const ingest = () => ingestRoutes({ accept: unused, auth, metrics, limits: {} as never }).app
const rejects = () => rejectRoutes({ auth, list: unused, get: unused, retry: unused })
const central = () =>
  centralApp(
    readConfig('central', { env: { SITES: 'fab1=http://127.0.0.1:1' } }).config as CentralConfig,
    auth,
    { log, metrics, life: new Lifecycle(log) },
  )

const apps: Record<string, () => Hono> = {
  'the questions': () => readApp().app,
  ingest: () => roleApp([ingest()], ingestSpecs),
  'the sidecar': () => roleApp([ingest(), rejects()], [...ingestSpecs, ...rejectSpecs]),
  'the central API': central,
}

const documentOf = async (app: Hono) =>
  (await (await app.request('/openapi.json')).json()) as OpenApi

/** `GET /v1/jobs/:id` of everything that answers, middleware and answers to wrong methods left out. */
const registered = (app: Hono) =>
  new Set(
    app.routes
      .filter(({ method, path }) => method !== 'ALL' && method !== 'HEAD' && !path.includes('*'))
      .map(({ method, path }) => `${method} ${path}`),
  )

const documented = ({ paths }: OpenApi) =>
  new Set(
    Object.entries(paths).flatMap(([path, methods]) =>
      Object.keys(methods).map((method) => `${method.toUpperCase()} ${honoPath(path)}`),
    ),
  )

describe('the OpenAPI document', () => {
  for (const [name, app] of Object.entries(apps)) {
    test(`of ${name} has exactly the routes that are there`, async () => {
      const made = app()
      assert.deepEqual(documented(await documentOf(made)), registered(made))
    })

    test(`of ${name} refers to nothing that it lacks, and names every operation once`, async () => {
      const document = await documentOf(app())
      const text = JSON.stringify(document)
      for (const [, found] of text.matchAll(/"\$ref":"#\/components\/schemas\/(\w+)"/g)) {
        assert.ok(document.components.schemas[found!], found)
      }
      assert.doesNotMatch(text, /\$defs|\$schema|"undefined"/)
      const ids = Object.values(document.paths).flatMap((methods) =>
        Object.values(methods).map(({ operationId }) => operationId),
      )
      assert.equal(new Set(ids).size, ids.length)
    })
  }

  test('is of version 3.1 and describes every parameter', async () => {
    const document = await documentOf(readApp().app)
    assert.equal(document.openapi, '3.1.0')
    for (const methods of Object.values(document.paths)) {
      for (const { parameters = [] } of Object.values(methods)) {
        for (const parameter of parameters) assert.ok(parameter.description, parameter.name)
      }
    }
  })

  test('does not close the shapes of answers: a newer role may say more', async () => {
    const { components } = await documentOf(readApp().app)
    assert.equal(components.schemas.Job?.additionalProperties, undefined)
  })
})

describe('the page /docs', () => {
  test('needs nothing but itself: no script, no address elsewhere, one style that its policy knows', async () => {
    const response = await readApp().app.request('/docs')
    const page = await response.text()
    assert.doesNotMatch(page, /<script|<link|<img|@import|url\(/)
    assert.doesNotMatch(page, /(src|href)="(?![#/])/)
    const style = /<style>([\s\S]*?)<\/style>/.exec(page)?.[1] ?? ''
    const hash = createHash('sha256').update(style).digest('base64')
    const policy = response.headers.get('content-security-policy') ?? ''
    assert.ok(policy.includes(`style-src 'sha256-${hash}'`), policy)
    assert.match(policy, /^default-src 'none'/)
    assert.doesNotMatch(page, /style="/)
  })

  test('shows every route and parameter, with lines to paste', async () => {
    const page = await (await readApp().app.request('/docs')).text()
    for (const { path, query } of routes) {
      assert.ok(page.includes(path), path)
      for (const name of Object.keys(query?.shape ?? {}))
        assert.ok(page.includes(`<code>${name}</code>`))
    }
    assert.match(page, /curl -sS -H/)
    for (const [, anchor] of page.matchAll(/href="#([^"]+)"/g)) {
      assert.ok(page.includes(`id="${anchor}"`), anchor)
    }
  })
})
