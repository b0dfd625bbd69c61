import assert from 'node:assert/strict'
import { once } from 'node:events'
import { request } from 'node:http'
import { describe, type TestContext, test } from 'node:test'
import { pino } from 'pino'
import { Auth } from '../../src/platform/auth.ts'
import { Lifecycle } from '../../src/platform/lifecycle.ts'
import { Metrics } from '../../src/platform/metrics.ts'
import { serve } from '../../src/roles/serve.ts'
import { type RoleName, readConfig, roleSettings } from '../../src/roles/settings.ts'
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
  t.after(() => life.stop(5))
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

  test('shows its pages under its own names only', async (t) => {
    const { url } = await startWebFor(t, 'http://127.0.0.1:1')
    const { status } = await fetch(`${url}/jobs`)
    assert.notEqual(status, 403)
    assert.equal(await statusOf(`${url}/jobs`, 'evil.example'), 403)
  })
})
