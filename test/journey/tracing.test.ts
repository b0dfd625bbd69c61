import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { describe, type TestContext, test } from 'node:test'
import { freshDatabase } from '../support/database.ts'
import { freshFolder, startRole, until } from '../support/processes.ts'

type Span = { traceId: string; name: string; service: string; links: string[] }

/** A collector: OTLP over HTTP, as the exporter sends it. */
async function collector(t: TestContext): Promise<{ url: string; spans: Span[] }> {
  const spans: Span[] = []
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk as Buffer)
    assert.equal(request.url, '/v1/traces')
    spans.push(...spansOf(JSON.parse(Buffer.concat(chunks).toString())))
    response.setHeader('content-type', 'application/json').end('{}')
  })
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  t.after(() => server.close())
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, spans }
}

type Otlp = {
  resourceSpans: {
    resource: { attributes: { key: string; value: { stringValue?: string } }[] }
    scopeSpans: { spans: { traceId: string; name: string; links?: { traceId: string }[] }[] }[]
  }[]
}

const spansOf = ({ resourceSpans }: Otlp): Span[] =>
  resourceSpans.flatMap(({ resource, scopeSpans }) => {
    const service = resource.attributes.find(({ key }) => key === 'service.name')?.value.stringValue
    return scopeSpans.flatMap((scope) =>
      scope.spans.map(({ traceId, name, links = [] }) => ({
        traceId,
        name,
        service: service ?? '',
        links: links.map((link) => link.traceId),
      })),
    )
  })

describe('a trace', () => {
  test('goes with an event from the program through the spool to the database', async (t) => {
    const { url: OTLP_ENDPOINT, spans } = await collector(t)
    const tracing = { ENABLE_TRACING: 'true', OTLP_ENDPOINT }
    const { url: DATABASE_URL } = await freshDatabase(t)
    const localApi = await startRole(t, 'local-api', { ...tracing, DATABASE_URL })
    const sidecar = await startRole(t, 'sidecar', {
      ...tracing,
      SPOOL_DIR: freshFolder(),
      LOCAL_API_BASE: localApi.url,
    })
    const traceId = '4bf92f3577b34da6a3ce929d0e0e4736'
    const answer = await fetch(`${sidecar.url}/v1/ingest/events`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({
        idempotency_key: crypto.randomUUID(),
        site_id: 'fab1',
        app: { app_id: crypto.randomUUID(), name: 'etch' },
        entity: { type: 'job', id: crypto.randomUUID() },
        event: { kind: 'started', at: new Date().toISOString() },
        traceparent: `00-${traceId}-00f067aa0ba902b7-01`,
      }),
    })
    assert.equal(answer.status, 200)
    const of = (service: string, name: string) =>
      spans.find((span) => span.service === service && span.name === name)
    await until(
      'spans of both roles',
      () =>
        of('local-api', 'store.ingest') &&
        of('sidecar', 'ingest.accept') &&
        of('local-api', 'ingest.accept'),
    )
    assert.equal(of('sidecar', 'ingest.accept')!.traceId, traceId)
    assert.equal(of('local-api', 'ingest.accept')!.traceId, traceId)
    assert.equal(of('local-api', 'store.ingest')!.traceId, traceId)
  })

  test('goes where the standard variables say, under their name, spans named by route', async (t) => {
    const { url, spans } = await collector(t)
    const sidecar = await startRole(t, 'sidecar', {
      ENABLE_TRACING: 'true',
      OTEL_EXPORTER_OTLP_ENDPOINT: url,
      OTEL_SERVICE_NAME: 'bay 3',
      SPOOL_DIR: freshFolder(),
      LOCAL_API_BASE: 'http://127.0.0.1:9',
    })
    const answer = await fetch(`${sidecar.url}/v1/rejects/4711`)
    assert.equal(answer.status, 404)
    const span = await until('the span', () => spans.find(({ service }) => service === 'bay 3'))
    assert.equal(span.name, 'GET /v1/rejects/:id')
  })
})
