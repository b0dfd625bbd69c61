import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { defaultDir } from '../../src/commands/up.ts'
import { inherited, roleChildren } from '../../src/roles/up/children.ts'

const ports = {
  sidecar: 1,
  'local-api': 2,
  archiver: 3,
  central: 4,
  web: 5,
  'web-central': 6,
}

describe('the children of wafermon up', () => {
  test('keep settings about how much, and lose those about where', () => {
    const ours = { PATH: '/bin', LOG_LEVEL: 'debug', RETENTION_HOURS: '24', MAX_SKEW_S: '5' }
    const theirs = {
      ...{
        HOST: '0.0.0.0',
        PORT: '80',
        PGHOST: 'db',
        PGPASSWORD: 'x',
        DATABASE_URL: 'postgres://x',
      },
      ...{ LOCAL_API: 'http://x', LOCAL_API_BASE: 'http://x', SITES: 'a=http://x', TLS_KEY: '/k' },
      ...{ TOKENS_FILE: '/t', WAFERMON_CONFIG: '/c', SPOOL_DIR: '/s', S3_BUCKET: 'b' },
    }
    assert.deepEqual(inherited({ ...ours, ...theirs, EMPTY: undefined }), ours)
  })

  test('know each other by the ports that were taken', () => {
    const layout = { dir: '/d', site: 'fab7', ports, databaseUrl: 'postgres://x', env: {} }
    const env = Object.fromEntries(roleChildren(layout).map((child) => [child.name, child.env]))
    assert.equal(env.sidecar?.LOCAL_API_BASE, 'http://127.0.0.1:2')
    assert.equal(env.central?.SITES, 'fab7=http://127.0.0.1:2')
    assert.equal(env['web-central']?.CENTRAL_API, 'http://127.0.0.1:4')
    assert.equal(env.web?.PORT, '5')
    assert.equal(env.sidecar?.DATABASE_URL, undefined)
  })
})

describe('the default folder', () => {
  test('is where services keep their state for root, and the own state folder for others', () => {
    assert.equal(defaultDir({ XDG_STATE_HOME: '/x' }, true), '/var/lib/wafermon')
    assert.equal(defaultDir({ XDG_STATE_HOME: '/x' }, false), '/x/wafermon')
    assert.match(defaultDir({}, false), /\/\.local\/state\/wafermon$/)
  })
})
