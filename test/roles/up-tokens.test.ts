import assert from 'node:assert/strict'
import { readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, type TestContext, test } from 'node:test'
import { Auth } from '../../src/platform/auth.ts'
import { createLog } from '../../src/platform/log.ts'
import { Sessions } from '../../src/platform/session.ts'
import { openTokens } from '../../src/roles/up/tokens.ts'
import { makeToken, revokeToken } from '../../src/tools/token.ts'
import { diskOf } from '../support/full-disk.ts'
import { freshFolder, until } from '../support/processes.ts'

function open(t: TestContext, dir: string, operators?: string) {
  const said: string[] = []
  const destination = { write: (line: string) => void said.push(line) }
  const log = createLog({ service: 'up', level: 'info', json: true, destination })
  const tokens = openTokens(dir, operators, log)
  t.after(tokens.close)
  return { ...tokens, said, auth: new Auth({ tokensFile: tokens.file, anonymous: [] }) }
}

describe('the tokens of wafermon up', () => {
  test('are made once, for this user only, and kept', (t) => {
    const dir = freshFolder()
    const { token, file, tokenFile, auth } = open(t, dir)
    assert.equal(open(t, dir).token, token)
    assert.deepEqual(auth.find(token)?.scopes, ['admin'])
    assert.doesNotMatch(readFileSync(file, 'utf8'), /wfm_/)
    for (const path of [file, tokenFile]) assert.equal(statSync(path).mode & 0o777, 0o600)
  })

  test('are made again when theirs is torn or gone', (t) => {
    const dir = freshFolder()
    const { token, tokenFile } = open(t, dir)
    for (const spoil of [() => rmSync(tokenFile), () => writeFileSync(tokenFile, 'wfm_ torn')]) {
      spoil()
      const next = open(t, dir)
      assert.notEqual(next.token, token)
      assert.ok(next.auth.find(next.token))
    }
  })

  test('are besides those of TOKENS_FILE, which count as they change', async (t) => {
    const operators = join(freshFolder(), 'tokens')
    const first = makeToken(operators, ['ingest'])
    const { auth, token } = open(t, freshFolder(), operators)
    assert.deepEqual(auth.find(first)?.scopes, ['ingest'])
    const second = makeToken(operators, ['read'])
    await until('the new token to count', () => auth.find(second) !== undefined)
    revokeToken(operators, String(auth.find(first)?.id))
    await until('the revoked one not to count', () => auth.find(first) === undefined)
    rmSync(operators)
    assert.ok(auth.find(second) && auth.find(token))
  })

  test('need a TOKENS_FILE that can be read, and name it', (t) => {
    const operators = join(freshFolder(), 'tokens')
    assert.throws(() => open(t, freshFolder(), operators), /TOKENS_FILE: cannot read .*tokens/)
    writeFileSync(operators, 'not a token\n')
    assert.throws(() => open(t, freshFolder(), operators), /TOKENS_FILE: line 1 of .*tokens/)
  })

  for (const name of ['up.token', 'up.tokens']) {
    test(`on a full disk need no space for ${name} once it is there, and say so before`, (t) => {
      const dir = freshFolder()
      const disk = diskOf(t)
      disk.fill(join(dir, `${name}.partial`))
      assert.throws(() => open(t, dir), new RegExp(`cannot write .*${name} \\(ENOSPC\\)`))
      disk.free()
      const { token } = open(t, dir)
      disk.fill(join(dir, name))
      assert.equal(open(t, dir).token, token)
    })
  }

  test('on a full disk stay as they were while TOKENS_FILE changes', async (t) => {
    const [dir, operators] = [freshFolder(), join(freshFolder(), 'tokens')]
    const first = makeToken(operators, ['ingest'])
    const disk = diskOf(t)
    const { auth, said } = open(t, dir, operators)
    disk.fill(join(dir, 'up.tokens'))
    const second = makeToken(operators, ['ingest'])
    await until('the warning', () => said.join().includes('was not taken over'))
    assert.ok(auth.find(first))
    disk.free()
    await until('the new token to count', () => auth.find(second) !== undefined)
  })
})

describe('an invitation', () => {
  test('opens one session, in its hour, and not once its token is revoked', () => {
    const file = join(freshFolder(), 'tokens')
    const token = makeToken(file, ['read'])
    const auth = new Auth({ tokensFile: file, anonymous: [] })
    const entry = auth.find(token)
    assert.ok(entry)
    let now = Date.now()
    const sessions = new Sessions(auth, 'secret', () => now)
    const [first, second, third] = [entry, entry, entry].map((of) => sessions.invite(of))
    assert.equal(sessions.redeem(first ?? '')?.id, entry.id)
    assert.equal(sessions.redeem(first ?? ''), undefined, 'it was used')
    assert.equal(sessions.redeem(`${second}x`), undefined)
    assert.equal(sessions.find(second ?? ''), undefined, 'it is no session')
    assert.equal(sessions.redeem(sessions.open(entry)), undefined, 'nor is a session an invitation')
    assert.equal(new Sessions(auth, 'other').redeem(second ?? ''), undefined)
    now += 3_599_000
    assert.ok(sessions.redeem(second ?? ''))
    now += 2000
    assert.equal(sessions.redeem(third ?? ''), undefined, 'its hour is over')
    const fresh = sessions.invite(entry)
    revokeToken(file, entry.id)
    assert.equal(sessions.redeem(fresh), undefined)
  })
})
