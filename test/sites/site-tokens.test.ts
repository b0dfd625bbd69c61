import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { describe, type TestContext, test } from 'node:test'
import { readConfig } from '../../src/roles/settings.ts'
import { Sites } from '../../src/sites/sites.ts'

const SITES = 'fab1=http://a,fab2=http://b,fab3=http://c'

/** A site that keeps the tokens it was sent. */
async function aSite(t: TestContext) {
  const heard = new Set<string | undefined>()
  const server = createServer(({ headers }, response) => {
    heard.add(headers.authorization)
    response.writeHead(404).end()
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => server.close())
  t.after(() => server.closeAllConnections())
  return { heard, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` }
}

describe('the tokens of sites', () => {
  test('go to their own site only', async (t) => {
    const own = [await aSite(t), await aSite(t), await aSite(t)]
    const list = own.map(({ url }, i) => `fab${i + 1}=${url}`).join(',')
    const { config } = readConfig('central', {
      env: { SITES: list, SITE_TOKENS: 'fab1=wfm_one, fab2=wfm_two', LOCAL_API_TOKEN: 'wfm_rest' },
    })
    const stop = new AbortController()
    const sites = new Sites({
      sites: config.SITES,
      token: config.LOCAL_API_TOKEN,
      tokens: config.SITE_TOKENS,
      timeoutMs: 5000,
      onUp: () => {},
      stopping: stop.signal,
    })
    t.after(() => sites.close())
    t.after(() => stop.abort())
    await sites.health()
    await assert.rejects(
      sites.ask().reader.findJobs({ time: 'started', order: 'desc', limit: 1 }, stop.signal),
    )
    assert.deepEqual(
      own.map(({ heard }) => [...heard]),
      [['Bearer wfm_one'], ['Bearer wfm_two'], ['Bearer wfm_rest']],
    )
  })

  test('are for sites that there are', () => {
    const read = (SITE_TOKENS: string) => () =>
      readConfig('central', { env: { SITES, SITE_TOKENS } })
    assert.throws(read('fab1=x,fab9=y'), /SITE_TOKENS: names fab9, which SITES does not/)
    for (const wrong of ['fab1', 'fab1=', 'fab1=x,fab1=y', 'fab1=x y', 'fab1=x,', 'wfm_hunter2']) {
      assert.throws(read(wrong), (error: Error) => {
        assert.match(error.message, /SITE_TOKENS: must be a list such as/)
        return !error.message.includes('hunter2')
      })
    }
  })

  test('that several sites share are warned of', () => {
    const warningsOf = (env: Record<string, string>) =>
      readConfig('central', { env: { SITES, ...env } }).warnings.filter((text) =>
        /SITE_TOKENS/.test(text),
      )
    assert.match(
      warningsOf({ LOCAL_API_TOKEN: 'x' })[0] ?? '',
      /^LOCAL_API_TOKEN: 3 sites get the same/,
    )
    assert.deepEqual(warningsOf({ LOCAL_API_TOKEN: 'x', SITE_TOKENS: 'fab1=a,fab2=b' }), [])
    assert.deepEqual(warningsOf({}), [])
  })
})
