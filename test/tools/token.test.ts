import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import { chownSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { describe, test } from 'node:test'
import type { AppError } from '../../src/core/errors.ts'
import { Auth, type Scope } from '../../src/platform/auth.ts'
import {
  listTokens,
  makeToken,
  readBounds,
  readScopes,
  revokeToken,
} from '../../src/tools/token.ts'
import { freshFolder, program } from '../support/processes.ts'

const fresh = () => join(freshFolder(), 'tokens')

function verdict(auth: Auth, token: string, scope: Scope): string {
  try {
    auth.admit(scope, () => `Bearer ${token}`)
    return 'admitted'
  } catch (error) {
    return (error as AppError).code
  }
}

describe('a token', () => {
  test('counts from the moment it is made until it is revoked, while a role runs', () => {
    const file = fresh()
    const first = makeToken(file, ['read'], 'dashboard of  the\nshift')
    const auth = new Auth({ tokensFile: file, anonymous: [] })
    assert.equal(verdict(auth, first, 'read'), 'admitted')
    assert.equal(verdict(auth, first, 'ingest'), 'forbidden')
    const second = makeToken(file, ['ingest', 'read'])
    assert.equal(verdict(auth, second, 'ingest'), 'admitted')
    revokeToken(file, listTokens(file)[0]!.id)
    assert.equal(verdict(auth, first, 'read'), 'unauthorized')
    assert.equal(verdict(auth, second, 'read'), 'admitted')
  })

  test('is that text and no other: not cut, not longer, not changed anywhere', () => {
    const file = fresh()
    const token = makeToken(file, ['read'])
    const auth = new Auth({ tokensFile: file, anonymous: [] })
    const changed = [...token].map((letter, i) => {
      return token.slice(0, i) + (letter === 'x' ? 'y' : 'x') + token.slice(i + 1)
    })
    const cut = [...token].map((_, i) => token.slice(0, i))
    for (const other of [...changed, ...cut, `${token}x`, `${token} `, ` ${token}`]) {
      assert.equal(auth.find(other), undefined, JSON.stringify(other))
    }
    assert.ok(auth.find(token))
  })

  test('is kept nowhere, in a file that only its owner reads', () => {
    const file = fresh()
    const token = makeToken(file, ['admin'])
    assert.ok(!readFileSync(file, 'utf8').includes(token.slice(4)))
    assert.equal(statSync(file).mode & 0o777, 0o600)
    makeToken(file, ['read'])
    revokeToken(file, listTokens(file)[0]!.id)
    assert.equal(statSync(file).mode & 0o777, 0o600)
  })

  test('leaves what a person wrote into the file alone', () => {
    const file = fresh()
    writeFileSync(file, '# tokens of fab1')
    makeToken(file, ['read'], 'a')
    makeToken(file, ['read'], 'b')
    revokeToken(file, listTokens(file)[0]!.id)
    const [comment, left] = readFileSync(file, 'utf8').split('\n')
    assert.equal(comment, '# tokens of fab1')
    assert.match(left ?? '', / read [0-9a-f]{64} b$/)
  })

  test("is taken back in a file that stays its owner's", () => {
    const file = fresh()
    makeToken(file, ['read'])
    const root = process.getuid?.() === 0
    if (root) chownSync(file, 65534, 65534)
    const { uid, gid } = statSync(file)
    revokeToken(file, listTokens(file)[0]!.id)
    const after = statSync(file)
    assert.deepEqual([after.uid, after.gid], [uid, gid])
    assert.deepEqual(readdirSync(dirname(file)), ['tokens'])
  })

  test('is not put into a file of something else', () => {
    const file = fresh()
    writeFileSync(file, 'root:x:0:0:root:/root:/bin/bash\n')
    const wanted = /TOKENS_FILE: line 1 of \S+ must read ID SCOPE/
    assert.throws(() => makeToken(file, ['read']), wanted)
    assert.throws(() => listTokens(file), wanted)
    assert.equal(readFileSync(file, 'utf8'), 'root:x:0:0:root:/root:/bin/bash\n')
  })

  test('says what its holder may send', () => {
    const file = fresh()
    const bounds = { sites: ['fab1'], sources: ['bn-07', 'bn-08'] }
    const spool = makeToken(file, ['forward'], 'bay 3', bounds)
    const [program, admin] = [makeToken(file, ['ingest']), makeToken(file, ['admin'])]
    const auth = new Auth({ tokensFile: file, anonymous: ['ingest'] })
    const senderOf = (token: string) => auth.admit('ingest', () => `Bearer ${token}`).sender
    const any = { sites: undefined, sources: undefined }
    assert.deepEqual(senderOf(spool), { mayForward: true, ...bounds })
    assert.deepEqual(senderOf(program), { mayForward: false, ...any })
    assert.deepEqual(senderOf(admin), { mayForward: true, ...any })
    assert.deepEqual(senderOf('wfm_x'), { mayForward: false }, 'anonymous')
    const open = new Auth({ anonymous: [] }).admit('ingest', () => undefined)
    assert.deepEqual(open, { token: undefined, sender: { mayForward: true } })
    const closed = new Auth({ tokensFile: file, anonymous: [] })
    assert.deepEqual(
      (['ingest', 'forward', 'read'] as const).map((scope) => verdict(closed, spool, scope)),
      ['admitted', 'admitted', 'forbidden'],
    )
    const [line] = listTokens(file)
    assert.deepEqual(line?.scopes, ['forward', 'site=fab1', 'source=bn-07', 'source=bn-08'])
    assert.equal(line?.note, 'bay 3')
  })

  test('has bounds of what it sends, and of nothing else', () => {
    assert.deepEqual(readBounds(['ingest'], { sites: ['fab1'] }), { sites: ['fab1'], sources: [] })
    assert.throws(() => readBounds(['ingest'], { sites: ['a,b'] }), /^ConfigError: --site: "a,b"/)
    assert.throws(() => readBounds(['forward'], { sources: ['a b'] }), /--source: "a b" is not/)
    assert.throws(() => readBounds(['read', 'ingest'], { sites: ['fab1'] }), /read is not bounded/)
    assert.throws(() => readBounds(['ingest'], { sources: ['bn-07'] }), /add it to --scope/)
  })

  test('is refused in a file with a bound that it does not know', () => {
    for (const allows of [
      'ingest,tool=7',
      'ingest,site=',
      'site=fab1',
      'ingest,site=..',
      'ingest,',
    ]) {
      const file = fresh()
      writeFileSync(file, `4f2a91c0 ${allows} ${'0'.repeat(64)}\n`)
      assert.throws(() => new Auth({ tokensFile: file, anonymous: [] }), /line 1/, allows)
    }
  })

  test('needs scopes that exist, and a file that can be used', () => {
    assert.deepEqual(readScopes('read, INGEST,read'), ['read', 'ingest'])
    assert.throws(() => readScopes('write'), /no scope "write"; the scopes are ingest, read/)
    assert.throws(() => revokeToken(fresh(), 'x'), /cannot read/)
    assert.throws(() => makeToken(join(fresh(), 'deeper'), ['read']), /cannot write/)
  })
})

describe('wafermon token', () => {
  test('makes, lists and revokes', () => {
    const file = fresh()
    const run = (...args: string[]) =>
      execFileSync(process.execPath, [program, 'token', ...args, '--file', file], {
        encoding: 'utf8',
      })
    assert.match(
      run('new', '--scope', 'read,ingest', '--note', 'for the tour'),
      /^wfm_[\w-]{43}\n$/,
    )
    const [, id] = /^([0-9a-f]{8}) {2}read,ingest {2}for the tour\n$/.exec(run('list')) ?? []
    assert.equal(run('revoke', id!), `revoked ${id}\n`)
    assert.equal(run('ls'), '')
    const again = spawnSync(process.execPath, [program, 'token', 'revoke', id!, '--file', file])
    assert.equal(again.status, 2)
  })
})
