import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, type TestContext, test } from 'node:test'
import type { Hono } from 'hono'
import { must } from '../../src/core/must.ts'
import { Auth } from '../../src/platform/auth.ts'
import { RateLimit } from '../../src/platform/rate-limit.ts'
import { Sessions } from '../../src/platform/session.ts'
import { listTokens, makeToken, revokeToken } from '../../src/tools/token.ts'
import { aDashboard } from '../support/dashboard.ts'
import { pagePaths, partPaths } from '../support/dashboard-pages.ts'
import { freshFolder } from '../support/processes.ts'
import { aJob, someSources } from '../support/sample-jobs.ts'

const page = { accept: 'text/html', 'sec-fetch-site': 'same-origin' }
const day = 86_400

/** A dashboard that needs tokens, and one token of each kind. */
function aGuarded(t: TestContext) {
  const file = join(freshFolder(), 'tokens')
  const tokens = { read: makeToken(file, ['read']), ingest: makeToken(file, ['ingest']) }
  const auth = new Auth({ tokensFile: file, anonymous: [] })
  const dashboard = aDashboard(t, { auth })
  const send = (path: string, fields: Record<string, string>, headers: object = page) =>
    dashboard.get(path, {
      method: 'POST',
      headers: { host: 'localhost', ...headers },
      body: new URLSearchParams(fields),
    })
  const signIn = async (token = tokens.read, next = '/jobs') => {
    const answer = await send('/sign-in', { token, next })
    return { ...answer, ...cookieOf(answer.response) }
  }
  return { ...dashboard, file, tokens, send, signIn }
}

function cookieOf(response: Response) {
  const set = response.headers.get('set-cookie') ?? ''
  return { set, cookie: set.split(';', 1)[0] ?? '' }
}

describe('a dashboard that needs tokens', () => {
  test('leads a browser to the sign-in page, and back to the page it asked for', async (t) => {
    const { get, signIn } = aGuarded(t)
    const { response } = await get('/jobs?status=failed', { headers: page })
    assert.equal(response.status, 303)
    const to = response.headers.get('location')!
    assert.equal(to, '/sign-in?next=%2Fjobs%3Fstatus%3Dfailed')
    const { html, status } = await get(to, { headers: page })
    assert.equal(status, 200)
    assert.match(html, /name="next" value="\/jobs\?status=failed"/)
    const { response: signed, cookie } = await signIn(undefined, '/jobs?status=failed')
    assert.equal(signed.status, 303)
    assert.equal(signed.headers.get('location'), '/jobs?status=failed')
    const shown = await get('/jobs', { headers: { ...page, cookie } })
    assert.equal(shown.status, 200)
    assert.match(shown.html, /Sign out/)
  })

  test('looks a session or a token up once for a page', async (t) => {
    const { get, signIn, tokens } = aGuarded(t)
    const { cookie } = await signIn()
    const bySession = t.mock.method(Auth.prototype, 'withId')
    const byToken = t.mock.method(Auth.prototype, 'find')
    const authorization = `Bearer ${tokens.read}`
    for (const headers of [{ ...page, cookie }, { authorization }]) {
      assert.equal((await get('/jobs', { headers })).status, 200)
    }
    assert.deepEqual([bySession.mock.callCount(), byToken.mock.callCount()], [1, 1])
  })

  test('shows no page, fragment, export or stream without a session', async (t) => {
    const { get, world } = aGuarded(t)
    world.jobs = [aJob({ jobKey: 'SECRET' })]
    const { id } = must(world.jobs[0], 'the world has a job')
    for (const path of [...pagePaths({ id }), ...partPaths({ id }), '/events']) {
      for (const headers of [{}, { 'hx-request': 'true', accept: 'text/html' }]) {
        const { status, html, response } = await get(path, {
          headers: headers as Record<string, string>,
        })
        assert.equal(status, 401, path)
        assert.doesNotMatch(html, /SECRET/)
        assert.match(response.headers.get('www-authenticate') ?? '', /^Bearer/)
      }
    }
  })

  test('says nothing about the site on the sign-in page', async (t) => {
    const { html } = await aGuarded(t).get('/sign-in')
    assert.doesNotMatch(html, /fab1/)
  })

  test('admits a program by its header, and no token as a cookie', async (t) => {
    const { get, tokens } = aGuarded(t)
    const bearer = (token: string) => ({ headers: { authorization: `Bearer ${token}` } })
    assert.equal((await get('/jobs.csv', bearer(tokens.read))).status, 200)
    assert.equal((await get('/jobs.csv', bearer(tokens.ingest))).status, 401)
    for (const name of ['wafermon_token', 'wafermon_session_8501']) {
      const headers = { cookie: `${name}=${tokens.read}` }
      assert.equal((await get('/jobs.csv', { headers })).status, 401, name)
    }
  })

  test('gives a cookie that scripts cannot read, that no other site gets, and that holds no token', async (t) => {
    const { signIn, send, tokens } = aGuarded(t)
    const { set } = await signIn()
    assert.match(set, /HttpOnly/)
    assert.match(set, /SameSite=Strict/)
    assert.doesNotMatch(set, /Secure/)
    assert.ok(!set.includes(tokens.read.slice(4, 20)))
    const proxied = { ...page, 'x-forwarded-proto': 'https' }
    const { response } = await send('/sign-in', { token: tokens.read }, proxied)
    assert.match(response.headers.get('set-cookie')!, /Secure/)
  })

  test('refuses a wrong token and one without the scope, and accepts one pasted with spaces', async (t) => {
    const { signIn, tokens } = aGuarded(t)
    const wrong = await signIn(`${tokens.read}x`)
    assert.deepEqual([wrong.status, wrong.set], [401, ''])
    assert.match(wrong.html, /Unknown token/)
    const small = await signIn(tokens.ingest)
    assert.deepEqual([small.status, small.set], [403, ''])
    assert.match(small.html, /lacks the scope read/)
    assert.equal((await signIn(` Bearer ${tokens.read}\n`)).status, 303)
  })

  test('refuses a form from another site, and one that is too long', async (t) => {
    const { send, tokens } = aGuarded(t)
    const foreign = [
      { 'sec-fetch-site': 'cross-site' },
      { 'sec-fetch-site': 'same-site', origin: 'http://localhost' },
      { origin: 'http://evil.example' },
      { origin: 'null' },
      {},
    ]
    for (const headers of foreign) {
      for (const path of ['/sign-in', '/sign-out']) {
        const { status, response } = await send(path, { token: tokens.read }, headers)
        assert.deepEqual([status, response.headers.get('set-cookie')], [403, null], path)
      }
    }
    assert.equal((await send('/sign-in', { token: 'x'.repeat(20_000) })).status, 413)
    // Plain HTTP to another machine: browsers send an origin and nothing else.
    const plain = { origin: 'http://localhost' }
    assert.equal((await send('/sign-in', { token: tokens.read }, plain)).status, 303)
  })

  test('leads nowhere else after signing in', async (t) => {
    const { signIn } = aGuarded(t)
    const others = ['//evil.example', '/\\evil.example', 'https://evil.example', '/\t/evil.example']
    for (const next of [
      ...others,
      '//evil.example/jobs',
      '/.//evil.example',
      'javascript:alert(1)',
      '/sign-out',
      '',
    ]) {
      const { response } = await signIn(undefined, next)
      assert.equal(response.headers.get('location'), '/', JSON.stringify(next))
    }
  })

  test('makes a browser that followed a link from elsewhere reload by itself', async (t) => {
    const { get } = aGuarded(t)
    const headers = { accept: 'text/html', 'sec-fetch-site': 'cross-site' }
    const { response, html } = await get('/jobs?q=A%26B', { headers })
    assert.equal(response.headers.get('refresh'), '0;url=/jobs?q=A%26B')
    assert.match(html, /href="\/jobs\?q=A%26B"/)
  })

  test('ends a session when its token is revoked, when it expires, and by signing out', async (t) => {
    const { get, signIn, send, pass, file } = aGuarded(t)
    const { cookie } = await signIn()
    const status = async (given = cookie) =>
      (await get('/jobs', { headers: { ...page, cookie: given } })).status
    assert.equal(await status(), 200)
    const out = await send('/sign-out', {})
    assert.match(out.response.headers.get('set-cookie')!, /Max-Age=0/)
    pass(8 * day)
    assert.equal(await status(), 303)
    const again = (await signIn()).cookie
    assert.equal(await status(again), 200)
    revokeToken(file, listTokens(file)[0]!.id)
    assert.equal(await status(again), 303)
  })

  test('renews the session of a page in use, so that a screen is never signed out', async (t) => {
    const { app, signIn, pass } = aGuarded(t)
    let { cookie } = await signIn()
    for (let i = 0; i < 5; i++) {
      const response = await openStream(app, cookie)
      assert.equal(response.status, 200)
      // It ends by itself after an hour, and the browser asks again.
      pass(4 * day)
      for await (const _ of response.body!);
      cookie = cookieOf(await openStream(app, cookie)).cookie
    }
  })

  test('cuts off an open stream when the token is revoked', { timeout: 30_000 }, async (t) => {
    const { app, signIn, file, pass } = aGuarded(t)
    const { cookie } = await signIn()
    const { body, status } = await openStream(app, cookie)
    assert.equal(status, 200)
    revokeToken(file, listTokens(file)[0]!.id)
    pass(1)
    // Ends by itself: nothing else would end the reading.
    for await (const _ of body!);
  })

  test('limits the attempts to sign in', async (t) => {
    const { signIn, tokens, pass } = aGuarded(t)
    for (let i = 0; i < 10; i++) assert.equal((await signIn('wfm_guess')).status, 401)
    const { status, response } = await signIn(tokens.read)
    assert.deepEqual([status, response.headers.get('retry-after')], [429, '6'])
    pass(6)
    assert.equal((await signIn(tokens.read)).status, 303)
  })
})

const openStream = ({ request }: Pick<Hono, 'request'>, cookie: string) =>
  request('/events', {
    method: 'POST',
    headers: { cookie, 'content-type': 'application/json' },
    body: JSON.stringify({ listen: true, windows: [] }),
  })

describe('a dashboard that everyone may read', () => {
  test('lets a visitor sign in to accept a loss, and names the token in the audit', async (t) => {
    const file = join(freshFolder(), 'tokens')
    const [read, operate] = [makeToken(file, ['read']), makeToken(file, ['operate'])]
    const auth = new Auth({ tokensFile: file, anonymous: ['read'] })
    const { get, world, accepted } = aDashboard(t, { auth })
    world.sources = someSources('2026-03-01T12:00:00.000000Z')
    const asked = '/pipeline/accept?source=bn-05'
    const refused = await get(asked, { headers: page })
    assert.equal(refused.status, 403)
    const to = /href="(\/sign-in[^"]*)"/.exec(refused.html)![1]!.replaceAll('&amp;', '&')
    const signIn = async (token: string) => {
      const body = new URLSearchParams({ token, next: asked })
      const headers = { host: 'localhost', ...page }
      const { response } = await get('/sign-in', { method: 'POST', body, headers })
      assert.equal(response.headers.get('location'), asked)
      return cookieOf(response).cookie
    }
    // A token that may only read is not enough, and leads to the form once more.
    for (const cookie of ['', await signIn(read)]) {
      const form = await get(to, { headers: { ...page, cookie } })
      assert.match(form.html, /a token with the scope operate/)
    }
    assert.equal((await get('/sign-in', { headers: page })).status, 200)
    const cookie = await signIn(operate)
    assert.equal((await get('/sign-in', { headers: { ...page, cookie } })).status, 303)
    assert.match((await get('/', { headers: { ...page, cookie } })).html, /Sign out/)
    const [, { id }] = listTokens(file) as [unknown, { id: string }]
    for (const headers of [{ cookie }, { authorization: `Bearer ${operate}` }]) {
      const body = new URLSearchParams({ source: 'bn-05', missing: '7', reason: 'disk gone' })
      await get('/pipeline/accept', { method: 'POST', body, headers: { ...page, ...headers } })
      const { by } = accepted.pop()![1] as { by: string }
      assert.equal(by, `token ${id} of the dashboard, unknown`)
    }
  })

  test('redeems an invitation', async (t) => {
    const file = join(freshFolder(), 'tokens')
    const token = makeToken(file, ['admin'])
    const auth = new Auth({ tokensFile: file, anonymous: ['read'] })
    const entry = auth.find(token)!
    const { get } = aDashboard(t, { auth })
    const noonMs = Date.parse('2026-03-01T12:00:00Z')
    const once = new Sessions(auth, 'of the role', () => noonMs).invite(entry)
    const { response } = await get(`/sign-in?once=${once}`, { headers: page })
    assert.equal(response.status, 303)
    assert.match(cookieOf(response).set, /^wafermon_session_8501=/)
  })
})

describe('a dashboard without tokens', () => {
  test('needs no sign-in', async (t) => {
    const { get } = aDashboard(t)
    assert.equal((await get('/sign-in?next=/jobs')).response.headers.get('location'), '/jobs')
    assert.doesNotMatch((await get('/jobs')).html, /Sign out/)
  })
})

describe('a session', () => {
  const aToken = () => {
    const file = join(freshFolder(), 'tokens')
    const token = makeToken(file, ['read'])
    const auth = new Auth({ tokensFile: file, anonymous: [] })
    return { file, auth, entry: auth.find(token)! }
  }

  test('is valid for a role with the same tokens and secret, and for no other', () => {
    const { auth, entry } = aToken()
    const session = new Sessions(auth, 'secret').open(entry)
    assert.equal(new Sessions(auth, 'secret').find(session)?.entry.id, entry.id)
    assert.equal(new Sessions(auth, 'other').find(session), undefined)
    assert.equal(new Sessions(aToken().auth, 'secret').find(session), undefined)
  })

  test('cannot be extended, or moved to another token', () => {
    const { file, auth, entry } = aToken()
    const sessions = new Sessions(auth, '')
    const [id, expires, mac] = sessions.open(entry).split('.')
    makeToken(file, ['admin'])
    const other = listTokens(file)[1]!.id
    for (const changed of [
      `${id}.${Number(expires) + 1}.${mac}`,
      `${other}.${expires}.${mac}`,
      `${id}.${expires}.`,
      `${id}.${expires}.${mac}x`,
      `${id}.${expires}`,
      `${id}.${expires}.${mac}.`,
      '',
      '..',
    ]) {
      assert.equal(sessions.find(changed), undefined, changed)
    }
    // The same id twice in the file, by hand: each line is looked at.
    writeFileSync(file, readFileSync(file, 'utf8').replaceAll(other, id!))
    assert.equal(sessions.find(`${id}.${expires}.${mac}`)?.entry.scopes[0], 'read')
  })
})

describe('attempts', () => {
  test('are counted per caller, for a limited number of callers', () => {
    let now = 0
    const attempts = new RateLimit({ most: 2, everyMs: 1000, callers: 2, now: () => now })
    const taken = (caller: string) => attempts.take(caller)
    assert.deepEqual([taken('a'), taken('a'), taken('a'), taken('b')], [0, 0, 1, 0])
    now = 1000
    assert.deepEqual([taken('a'), taken('a')], [0, 1])
    taken('c')
    taken('d')
    assert.equal(taken('a'), 0)
  })
})
