import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { makeToken, revokeToken } from '../../src/tools/token.ts'
import { freshFolder, until } from '../support/processes.ts'
import { childrenOf, choosePorts, startUp, type Up } from '../support/up.ts'

/* A started `up` with tokens of an operator. */

const event = () =>
  JSON.stringify({
    idempotency_key: randomUUID(),
    site_id: 'fab1',
    app: { app_id: randomUUID(), name: 'litho-apc', version: '1' },
    entity: { type: 'job', id: randomUUID() },
    event: { kind: 'started', at: new Date().toISOString() },
  })

describe('wafermon up with TOKENS_FILE', () => {
  const file = join(freshFolder(), 'tokens')
  const tokens = { ingest: makeToken(file, ['ingest']), read: makeToken(file, ['read']) }
  let up: Up
  before(async () => {
    up = await startUp(freshFolder(), await choosePorts(), undefined, { TOKENS_FILE: file })
  })
  after(() => up.stop())

  const doors = {
    ingest: [
      ['sidecar', '/v1/ingest/events'],
      ['local-api', '/v1/ingest/events'],
    ],
    read: [
      ['local-api', '/v1/jobs'],
      ['central', '/v1/jobs'],
      ['web', '/jobs'],
      ['central-web', '/jobs'],
      ['sidecar', '/metrics'],
      ['archiver', '/metrics'],
    ],
  } as const
  type Scope = keyof typeof doors

  /** The answers of all doors of a scope to a token: their distinct status codes. */
  async function statuses(scope: Scope, token?: string): Promise<number[]> {
    const answers = doors[scope].map(async ([role, path]) => {
      const answer = await fetch(`http://127.0.0.1:${up.ports[role]}${path}`, {
        ...(scope === 'ingest' ? { method: 'POST', body: event() } : {}),
        headers: {
          'content-type': 'application/json',
          ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
        },
      })
      await answer.arrayBuffer()
      return answer.status
    })
    return [...new Set(await Promise.all(answers))]
  }

  test('lets the tokens of the file in at every role, each by its scope', async () => {
    await until('all roles to answer', async () => (await statuses('read', tokens.read))[0] === 200)
    assert.deepEqual(await statuses('read', tokens.read), [200])
    assert.deepEqual(await statuses('ingest', tokens.ingest), [200])
    // A dashboard shows the page to sign in.
    assert.deepEqual((await statuses('read', tokens.ingest)).sort(), [401, 403])
    assert.deepEqual(await statuses('ingest', tokens.read), [403])
  })

  test("lets up's own token in at every role", async () => {
    const own = readFileSync(join(up.dir, 'up.token'), 'utf8').trim()
    assert.deepEqual(await statuses('read', own), [200])
    assert.deepEqual(await statuses('ingest', own), [200])
  })

  test('answers 401 at every role without a token, and with a wrong one', async () => {
    for (const token of [
      undefined,
      `wfm_${'0'.repeat(43)}`,
      'wrong',
      makeToken(join(freshFolder(), 'other'), ['admin']),
    ]) {
      for (const scope of ['read', 'ingest'] as const) {
        assert.deepEqual(await statuses(scope, token), [401], `${scope} ${token}`)
      }
    }
  })

  test('signs a browser in by its link', async () => {
    const [link = ''] = up.logs().match(/http:\S+\?once=\S+/) ?? []
    const entered = await fetch(link, { redirect: 'manual' })
    assert.equal(entered.status, 303)
    const [cookie = ''] = (entered.headers.get('set-cookie') ?? '').split(';')
    const page = await fetch(new URL('/jobs', link), { headers: { cookie } })
    assert.deepEqual([page.status, /<title>Jobs/.test(await page.text())], [200, true])
  })

  test('takes a token that is added, and one that is revoked, without a restart', async () => {
    const children = childrenOf(up.dir)
    const added = makeToken(file, ['read'])
    const is = (token: string, status: number) => async () => {
      const found = await statuses('read', token)
      return found.length === 1 && found[0] === status
    }
    await until('the new token to count', is(added, 200))
    const [id = ''] = readFileSync(file, 'utf8').trim().split('\n').at(-1)?.split(/\s/) ?? []
    revokeToken(file, id)
    await until('the revoked one to be refused', is(added, 401))
    assert.deepEqual(await statuses('read', tokens.read), [200])
    assert.deepEqual(childrenOf(up.dir), children)
  })
})
