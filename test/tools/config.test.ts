import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { promisify } from 'node:util'
import { mask } from '../../src/platform/settings/mask.ts'
import type { Sources } from '../../src/platform/settings/sources.ts'
import { knownSettings, type RoleName, roleSettings } from '../../src/roles/settings.ts'
import { checkConfig, findMisspelled, showConfig } from '../../src/tools/config.ts'
import { freshFolder, program } from '../support/processes.ts'

const secret = 'postgres://wafermon:hunter2@db/fab1'
const ok = { DATABASE_URL: secret }
const catalog = { roles: roleSettings, known: knownSettings }
const check = (sources: Sources, role?: RoleName) => checkConfig(catalog, sources, role)
const show = (role: RoleName, sources: Sources) => showConfig(catalog, sources, role)
const run = promisify(execFile)

const wafermon = async (args: string[], env: Record<string, string>) => {
  const done = { env, encoding: 'utf8' } as const
  const { stdout, stderr, code } = await run(process.execPath, [program, ...args], done).then(
    (output) => ({ ...output, code: 0 }),
    (failed: { stdout: string; stderr: string; code: number }) => failed,
  )
  return { stdout, stderr, code }
}

describe('config check', () => {
  test('reports every problem, those between settings included', () => {
    const env = {
      ...ok,
      PORT: 'x',
      DB_POOL_MIN_SIZE: '9',
      DB_POOL_MAX_SIZE: '3',
      TLS_CERT: '/nowhere/a.pem',
      TOKENS_FILE: '/nowhere/tokens',
    }
    const [checked] = check({ env }, 'local-api')
    assert.equal(checked?.state, 'wrong')
    const names = checked?.problems.map((problem) => problem.split(':')[0])
    assert.deepEqual(names, [
      'PORT',
      'TOKENS_FILE',
      'TLS_CERT, TLS_KEY',
      'TLS_CERT',
      'DB_POOL_MIN_SIZE',
    ])
  })

  test('does not report a role that is only not set up here, unless it is asked for', () => {
    const states = Object.fromEntries(check({ env: {} }).map(({ role, state }) => [role, state]))
    assert.equal(states.sidecar, 'ok')
    assert.equal(states['local-api'], 'unset')
    assert.equal(check({ env: {} }, 'central')[0]?.state, 'wrong')
  })

  test('names a site that is there twice', () => {
    const [checked] = check({ env: { SITES: 'a=http://x,a=http://y' } }, 'central')
    assert.match(checked?.problems[0] ?? '', /SITES: must name each site once/)
  })

  test('wants to know what a dashboard is to show', () => {
    assert.match(check({ env: {} }, 'web')[0]?.problems[0] ?? '', /LOCAL_API.*\(neither is set\)/)
    assert.equal(check({ env: { LOCAL_API: 'http://x' } }, 'web')[0]?.state, 'ok')
  })

  test('refuses addresses with a password, which could not be called, and keeps it to itself', () => {
    const user = 'http://admin:hunter2@x'
    for (const [role, env] of [
      ['central', { SITES: `a=http://x,b=${user}` }],
      ['sidecar', { LOCAL_API_BASE: user }],
      ['web', { CENTRAL_API: user }],
    ] as const) {
      const [checked] = check({ env }, role)
      assert.equal(checked?.problems.length, 1, role)
      assert.match(checked?.problems[0] ?? '', /without user, query or fragment/)
      assert.doesNotMatch(checked?.problems[0] ?? '', /hunter2/)
    }
  })

  test('suspects variables that are nearly settings', () => {
    const suspects = findMisspelled(catalog, {
      LOG_LEVL: '1',
      SPOOL_DIR: '/x',
      PATH: '/bin',
      LANG: 'C',
    })
    assert.deepEqual(suspects, ['LOG_LEVL: has no effect; did you mean LOG_LEVEL?'])
  })
})

describe('config show', () => {
  test('shows where each value comes from', () => {
    const file = join(freshFolder(), 'wafermon.yaml')
    writeFileSync(file, 'QUERY_MAX_LIMIT: 500\nLOG_LEVEL: warn\nPORT: 1\n')
    const env = { ...ok, LOG_LEVEL: 'DEBUG' }
    const shown = show('local-api', { env, file, flags: { PORT: '2' } })
    const of = (name: string) => shown.find((setting) => setting.name === name)
    assert.deepEqual([of('PORT')?.value, of('PORT')?.origin], [2, 'flag'])
    assert.deepEqual([of('LOG_LEVEL')?.value, of('LOG_LEVEL')?.origin], ['debug', 'environment'])
    assert.deepEqual([of('QUERY_MAX_LIMIT')?.value, of('QUERY_MAX_LIMIT')?.origin], [500, 'file'])
    assert.deepEqual([of('MAX_SKEW_S')?.value, of('MAX_SKEW_S')?.origin], [600, 'default'])
    assert.deepEqual([of('TLS_CERT')?.value, of('TLS_CERT')?.origin], [null, 'default'])
  })

  test('masks secrets, also when something else is wrong, and passwords in addresses', () => {
    for (const PORT of ['8000', 'wrong']) {
      const env = { ...ok, PORT, LOCAL_API_TOKEN: 'wfm_x', LOCAL_API_BASE: 'http://me:hunter2@h:1' }
      const shown = [...show('local-api', { env }), ...show('sidecar', { env })]
      assert.doesNotMatch(JSON.stringify(shown), /hunter2|wfm_x/)
      assert.equal(shown.find(({ name }) => name === 'DATABASE_URL')?.value, mask)
    }
  })

  for (const password of ['hunt@er2', 'hunt/er2', 'hunt er2', 'hunt,er2', '@er2']) {
    test(`masks a password that was not encoded: ${password}`, () => {
      const env = { ...ok, LOCAL_API_BASE: `http://me:${password}@h:1` }
      const shown = show('sidecar', { env }).find(({ name }) => name === 'LOCAL_API_BASE')
      const [checked] = checkConfig(catalog, { env }, 'sidecar')
      assert.deepEqual([shown?.value, checked?.state], [`http://${mask}@h:1`, 'wrong'])
      assert.doesNotMatch(JSON.stringify([shown, checked]), /er2/)
    })
  }
})

describe('wafermon config', () => {
  test('check ends with 2 on a problem and names it; with 0 when all is well', async () => {
    const wrong = await wafermon(['config', 'check', '--role', 'local-api'], {
      DATABASE_URL: 'mysql://x',
    })
    assert.equal(wrong.code, 2)
    assert.match(wrong.stdout, /^local-api: cannot start\n {2}DATABASE_URL: must be a URL/)
    const right = await wafermon(['config', 'check', '--role', 'local-api'], ok)
    assert.deepEqual([right.code, right.stdout], [0, 'local-api: ok\n'])
    const json = await wafermon(['config', 'check', '--json'], ok)
    assert.equal(JSON.parse(json.stdout).roles.length, 5)
  })

  test('show prints a table without the secret, and JSON', async () => {
    const table = await wafermon(['config', 'show', '--role', 'local-api'], ok)
    assert.match(table.stdout, /\n {2}DATABASE_URL +\*{8} +environment\n/)
    assert.doesNotMatch(table.stdout, /hunter2/)
    const json = await wafermon(['config', 'show', '--json'], ok)
    assert.equal(JSON.parse(json.stdout)[0].role, 'sidecar')
  })

  test('knows no other role', async () => {
    const unknown = await wafermon(['config', 'show', '--role', 'nobody'], {})
    assert.equal(unknown.code, 2)
    assert.match(unknown.stderr, /there is no role nobody; the roles are sidecar/)
  })
})
