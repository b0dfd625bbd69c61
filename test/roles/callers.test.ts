import assert from 'node:assert/strict'
import { once } from 'node:events'
import { request } from 'node:http'
import { networkInterfaces } from 'node:os'
import { describe, type TestContext, test } from 'node:test'
import { pino } from 'pino'
import { Auth } from '../../src/platform/auth.ts'
import { Lifecycle } from '../../src/platform/lifecycle.ts'
import { Metrics } from '../../src/platform/metrics.ts'
import { serve } from '../../src/roles/serve.ts'
import { type RoleName, readConfig, roleSettings } from '../../src/roles/settings.ts'
import { aDashboard } from '../support/dashboard.ts'
import { startWebFor } from '../support/web.ts'

/** What each role needs to be configured at all. */
const needed: Record<RoleName, Record<string, string>> = {
  sidecar: { SPOOL_DIR: '/nowhere' },
  'local-api': { DATABASE_URL: 'postgres://nowhere' },
  archiver: { DATABASE_URL: 'postgres://nowhere', ARCHIVE_DIR: '/nowhere' },
  central: { SITES: 'fab1=http://127.0.0.1:1' },
  web: { LOCAL_API: 'http://127.0.0.1:1', DEFAULT_SITE: 'fab1' },
}

/** The HTTP side of a role, with nothing behind it but what every role has. */
async function serveRole(t: TestContext, role: RoleName, env: Record<string, string> = {}) {
  const log = pino({ level: 'silent' })
  const life = new Lifecycle(log)
  t.after(() => life.stop(30))
  const { config } = readConfig(role, { env: { ...needed[role], PORT: '0', ...env } })
  const { url } = await serve(
    config,
    { log, life, metrics: new Metrics() },
    {
      auth: new Auth({ anonymous: [] }),
      title: role,
      name: role,
      routes: [],
      check: () => ({ ready: true, status: 'ok' }),
    },
  )
  return url
}

const hasIPv6 = () =>
  Object.values(networkInterfaces()).some((all) => all?.some(({ address }) => address === '::1'))

async function statusOf(url: string, host: string): Promise<number | undefined> {
  const sent = request(url, { headers: { host } }).end()
  const [answer] = await once(sent, 'response')
  answer.resume()
  await once(answer, 'end')
  return answer.statusCode
}

describe('a role without tokens', () => {
  for (const role of Object.keys(roleSettings) as RoleName[]) {
    test(`${role} answers to its own names only`, async (t) => {
      const url = await serveRole(t, role, { ALLOWED_HOSTS: 'api.fab1, other.fab1' })
      const hosts = ['localhost', 'api.fab1:8000', 'OTHER.fab1', 'evil.example']
      const statuses = []
      for (const host of hosts) statuses.push(await statusOf(`${url}/metrics`, host))
      assert.deepEqual(statuses, [200, 200, 200, 403])
    })
  }

  test('listens on every address, IPv6 and IPv4, and answers to them all', async (t) => {
    if (!hasIPv6()) return t.skip('this machine has no IPv6')
    const { port } = new URL(await serveRole(t, 'sidecar', { HOST: '::' }))
    const ours = ['[::1]', '[0:0::1]', '[::ffff:127.0.0.1]', '[::FFFF:7f00:1]', '127.0.0.1']
    const hosts = [...ours, 'evil.example', '[::1].evil.example']
    for (const address of ['[::1]', '127.0.0.1']) {
      const statuses = []
      for (const host of hosts) {
        const path = `http://${address}:${port}/metrics`
        statuses.push(await statusOf(path, `${host}:${port}`))
      }
      assert.deepEqual(
        statuses.slice(0, ours.length),
        ours.map(() => 200),
        address,
      )
      assert.deepEqual(statuses.slice(ours.length), [403, 400], address)
    }
  })

  test('shows its pages under its own names only', async (t) => {
    const { url } = await startWebFor(t, 'http://127.0.0.1:1')
    const { status } = await fetch(`${url}/jobs`)
    assert.notEqual(status, 403)
    assert.equal(await statusOf(`${url}/jobs`, 'evil.example'), 403)
  })
})

describe('the pages of a dashboard', () => {
  test('change nothing for a page of another origin', async (t) => {
    const { app, get } = aDashboard(t)
    const forms = app.routes.filter(({ method }) => !['GET', 'ALL'].includes(method))
    const paths = [...new Set(forms.map(({ path }) => path))]
    assert.deepEqual(paths, [
      '/sign-in',
      '/sign-out',
      '/events',
      '/jobs/:id/close',
      '/pipeline/accept',
    ])
    for (const path of paths) {
      for (const headers of [
        { 'sec-fetch-site': 'cross-site' },
        { 'sec-fetch-site': 'same-site' },
        { origin: 'http://evil.example' },
        { origin: 'null' },
        {},
      ]) {
        const { status, response } = await get(path, {
          method: 'POST',
          headers: { host: 'localhost', ...(headers as Record<string, string>) },
          body: new URLSearchParams({ token: 'x' }),
        })
        // The live stream is asked for by a POST, in JSON, and changes nothing.
        const refused = path === '/events' ? 415 : 403
        assert.equal(status, refused, `${path} ${JSON.stringify(headers)}`)
        assert.equal(response.headers.get('set-cookie'), null)
      }
    }
  })
})
