import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { request } from 'node:https'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { freshFolder, launch, startRole } from '../support/processes.ts'

const file = (name: string) => fileURLToPath(new URL(`../support/tls/${name}`, import.meta.url))
const read = (name: string) => readFileSync(file(name))
const tls = { TLS_CERT: file('server.pem'), TLS_KEY: file('server.key') }
const sidecar = () => ({ SPOOL_DIR: freshFolder(), LOCAL_API_BASE: 'http://127.0.0.1:9' })

/** The status of an answer over TLS, or the code of what went wrong. */
function ask(url: string, options: object): Promise<number | string | undefined> {
  return new Promise((done) => {
    const asked = request(`${url}/v1/healthz`, { ca: read('authority.pem'), ...options })
    asked.on('response', (response) => done(response.resume().statusCode))
    asked.on('error', (error: NodeJS.ErrnoException) => done(error.code))
    asked.end()
  })
}

describe('TLS', () => {
  test('answers over https, in no version under 1.2', async (t) => {
    const { url } = await startRole(t, 'sidecar', { ...tls, ...sidecar() })
    assert.match(url, /^https:/)
    assert.equal(await ask(url, {}), 200)
    assert.equal(typeof (await ask(url, { maxVersion: 'TLSv1.1', minVersion: 'TLSv1' })), 'string')
  })

  test('with TLS_CA admits no caller without a certificate of that authority', async (t) => {
    const env = { ...tls, ...sidecar(), TLS_CA: file('authority.pem') }
    const { url } = await startRole(t, 'sidecar', env)
    const known = { cert: read('client.pem'), key: read('client.key') }
    assert.equal(await ask(url, known), 200)
    assert.equal(typeof (await ask(url, {})), 'string')
  })

  const text = join(freshFolder(), 'text')
  writeFileSync(text, 'no certificate')
  const wrong: [string, Record<string, string>, RegExp][] = [
    [
      'a file that is not a certificate',
      { TLS_CERT: text },
      /TLS_CERT: .* is not a PEM certificate/,
    ],
    ['a file that is not a key', { TLS_KEY: text }, /TLS_KEY: .* is not a PEM private key/],
    [
      'a key of another certificate',
      { TLS_KEY: file('client.key') },
      /TLS_KEY: does not match TLS_CERT; replace both/,
    ],
    ['a file that is not an authority', { TLS_CA: text }, /TLS_CA: .* is not a PEM certificate/],
  ]
  for (const [what, settings, message] of wrong) {
    test(`names the setting of ${what}`, async () => {
      const child = launch(['sidecar'], { PORT: '0', ...sidecar(), ...tls, ...settings })
      assert.equal((await child.ended).code, 2)
      assert.match(child.logs(), message)
      assert.doesNotMatch(child.logs(), /stack|routines/)
    })
  }
})
