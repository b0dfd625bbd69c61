import assert from 'node:assert/strict'
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { Auth, newToken } from '../../src/platform/auth.ts'
import { freshFolder } from '../support/processes.ts'

describe('a file of tokens that becomes wrong while a role runs', () => {
  /** Each in the place of a file with a token, which one of its lines was to revoke. */
  const wrongs: Record<string, (file: string) => void> = {
    'a line that is no token': (file) => writeFileSync(file, 'a line that is no token\n'),
    'half a line': (file) => writeFileSync(file, readFileSync(file, 'utf8').slice(0, 40)),
    'no file': (file) => rmSync(file),
    'a folder': (file) => {
      rmSync(file)
      mkdirSync(file)
    },
  }
  for (const [name, spoil] of Object.entries(wrongs)) {
    test(`is told once, and again when it is right: ${name}`, () => {
      const file = join(freshFolder(), 'tokens')
      const token = newToken(file, ['read'])
      const good = readFileSync(file, 'utf8')
      const told: (string | undefined)[] = []
      const onTrouble = (trouble: string | undefined) => told.push(trouble)
      const auth = new Auth({ tokensFile: file, anonymous: [], onTrouble })
      assert.ok(auth.find(token))
      assert.deepEqual(told, [])
      spoil(file)
      for (let i = 0; i < 3; i++) assert.ok(auth.find(token), 'the last ones are kept')
      assert.equal(told.length, 1)
      assert.match(told[0] ?? '', /^TOKENS_FILE: .*tokens/)
      rmSync(file, { recursive: true, force: true })
      writeFileSync(file, `# nobody\n`)
      assert.equal(auth.find(token), undefined, 'it is revoked')
      writeFileSync(file, good)
      assert.ok(auth.find(token))
      assert.deepEqual(told.slice(1), [undefined])
    })
  }
})
