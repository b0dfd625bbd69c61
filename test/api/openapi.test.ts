import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { describe, test } from 'node:test'
import { Hono } from 'hono'
import { pino } from 'pino'
import { refsIn } from '../../src/api/answers.ts'
import { type OpenApi, openApi } from '../../src/api/openapi.ts'
import { roleRoutes } from '../../src/api/role-routes.ts'
import { mountRoutes, type Route, toHonoPath } from '../../src/api/route.ts'
import { Auth } from '../../src/platform/auth.ts'
import { createApp } from '../../src/platform/http.ts'
import { Lifecycle } from '../../src/platform/lifecycle.ts'
import { Metrics } from '../../src/platform/metrics.ts'
import { centralService } from '../../src/roles/central.ts'
import { createRoleApp } from '../../src/roles/serve.ts'
import { readConfig } from '../../src/roles/settings.ts'
import { anyCallers } from '../support/callers.ts'
import { centralRoutes, commonRoutes, localApiRoutes, sidecarRoutes } from '../support/routes.ts'
import { limits, readApp } from './read-app.ts'

const log = pino({ level: 'silent' })
const auth = new Auth({ anonymous: [] })
const metrics = new Metrics()

/** The app of a role from these routes and those that every role has. */
function roleApp(routes: Route[]): Hono {
  const own = routes.filter((route) => !commonRoutes().includes(route))
  const health = { service: 'test', check: () => ({ ready: true, status: 'ok' as const }) }
  const app = createApp({ log, metrics, callers: anyCallers })
  return app.route('/', roleRoutes({ title: 'test', auth, metrics, health, routes: own }))
}

const realCentral = () => {
  const { config } = readConfig('central', { env: { SITES: 'fab1=http://127.0.0.1:1' } })
  const context = { log, metrics, life: new Lifecycle(log) }
  return createRoleApp(config, context, centralService(config, auth, context))
}

const apps: Record<string, () => Hono> = {
  'the questions': () => readApp().app,
  'the local API': () => roleApp(localApiRoutes(limits)),
  'the sidecar': () => roleApp(sidecarRoutes()),
  'the archiver': () => roleApp(commonRoutes()),
  'the central API': realCentral,
}

const documentOf = async (app: Hono) =>
  (await (await app.request('/openapi.json')).json()) as OpenApi

/** `GET /v1/jobs/:id` of every mounted route, without middleware and answers to other methods. */
const registered = (app: Hono) =>
  new Set(
    app.routes
      .filter(({ method, path }) => method !== 'ALL' && method !== 'HEAD' && !path.includes('*'))
      .map(({ method, path }) => `${method} ${path}`),
  )

const documented = ({ paths }: OpenApi) =>
  new Set(
    Object.entries(paths).flatMap(([path, methods]) =>
      Object.keys(methods).map((method) => `${method.toUpperCase()} ${toHonoPath(path)}`),
    ),
  )

describe('the OpenAPI document', () => {
  for (const [name, app] of Object.entries(apps)) {
    test(`of ${name} has exactly the mounted routes`, async () => {
      const made = app()
      assert.deepEqual(documented(await documentOf(made)), registered(made))
    })

    test(`of ${name} has every schema that it refers to, and names every operation once`, async () => {
      const document = await documentOf(app())
      const text = JSON.stringify(document)
      for (const found of refsIn(document)) assert.ok(document.components.schemas[found], found)
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

  test('of the central API adds site, 404 and 502 to every question, and changes no other', () => {
    const [local, central] = [localApiRoutes(limits), centralRoutes(limits)].map(
      (routes) => openApi({ title: 'test', routes }).paths,
    )
    const questions = Object.keys(local!).filter(
      (path) => /^\/v1\/(?!healthz)/.test(path) && local![path]!.get,
    )
    assert.ok(questions.length > 8)
    for (const path of questions) {
      const [own, merged] = [local![path]!.get!, central![path]!.get!]
      const names = (parameters = own.parameters) => (parameters ?? []).map(({ name }) => name)
      assert.deepEqual(new Set(names(merged.parameters)), new Set([...names(), 'site']), path)
      const statuses = [...Object.keys(own.responses), '404', '502']
      assert.deepEqual(new Set(Object.keys(merged.responses)), new Set(statuses), path)
    }
    for (const path of ['/metrics', '/docs', '/openapi.json', '/v1/healthz']) {
      assert.deepEqual(central![path], local![path])
    }
  })

  test('leaves the schemas of answers open: a newer role may add fields', async () => {
    const { components } = await documentOf(readApp().app)
    assert.equal(components.schemas.Job?.additionalProperties, undefined)
  })
})

describe('the page /docs', () => {
  test('is self-contained: no script, no other address, one style that its policy allows', async () => {
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
    const { app, routes } = readApp()
    const page = await (await app.request('/docs')).text()
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

describe('a route', () => {
  const declared: Route = {
    method: 'get',
    path: '/v1/things',
    tag: 'Jobs',
    summary: 'Lists things',
    answer: { 'text/plain': 'text' },
    handle: (c) => c.text('things'),
  }

  test('is mounted once: a second declaration of its method and path is a bug', () => {
    assert.throws(() => mountRoutes(new Hono(), auth, [declared, declared]), /declared once/)
  })

  test('answers only what its declaration allows', async () => {
    const app = roleApp([declared])
    assert.equal(await (await app.request('/v1/things?x=1')).text(), 'things')
    assert.equal((await app.request('/v1/things', { method: 'POST' })).status, 405)
    const options = await app.request('/v1/things', { method: 'OPTIONS' })
    assert.equal(options.headers.get('allow'), 'GET, HEAD, OPTIONS')
    const { paths } = await documentOf(app)
    assert.deepEqual(Object.keys(paths['/v1/things']!), ['get'])
  })
})
