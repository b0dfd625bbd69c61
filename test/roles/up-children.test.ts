import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { defaultDir } from '../../src/commands/up.ts'
import { knownSettings } from '../../src/roles/settings.ts'
import {
  ignoredSettings,
  inherited,
  roleChildren,
  simulatorChild,
} from '../../src/roles/up/children.ts'

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

  test('lose every setting that is a place, and keep every other', () => {
    const kept = inherited(Object.fromEntries([...knownSettings.names].map((name) => [name, 'x'])))
    assert.deepEqual(Object.keys(kept).sort(), [
      ...['ARCHIVE', 'ARCHIVE_INTERVAL_HOURS', 'ARCHIVE_KEEP_YEARS', 'ARCHIVE_LATE_HOURS'],
      'DB_POOL_MAX_SIZE',
      ...['DB_POOL_MIN_SIZE'],
      ...['DRAIN_INTERVAL_S', 'ENABLE_TRACING', 'ENVIRONMENT', 'FREEZE_AFTER_HOURS'],
      ...['LIVE_KEEP_HOURS', 'LOG_LEVEL', 'LOST_AFTER_S', 'MAX_BATCH_ITEMS', 'MAX_BATCH_SIZE'],
      'MAX_BODY_BYTES',
      ...['MAX_DECOMPRESSED_BYTES', 'MAX_EVENT_BYTES', 'MAX_SKEW_S', 'OTLP_ENDPOINT'],
      ...['QUERY_DEFAULT_LIMIT', 'QUERY_MAX_LIMIT', 'QUERY_TIMEOUT_S', 'REQUEST_READ_TIMEOUT_S'],
      ...['REQUEST_TIMEOUT_S', 'RETENTION_HOURS', 'SHUTDOWN_TIMEOUT_S', 'SIDECAR_TOKEN'],
      ...['SIMULATED', 'SITE_ZONE', 'SPOOL_MAX_BYTES'],
    ])
  })

  test('say which settings have no effect', () => {
    const env = { TOKENS_FILE: '/t', ALLOW_ANONYMOUS: 'read', LOG_LEVEL: 'info', PATH: '/bin' }
    assert.deepEqual(ignoredSettings({ ...env, SIDECAR_URL: 'http://x' }), [])
    const ignored = { HOST: '0.0.0.0', TLS_KEY: '/k', WAFERMON_CONFIG: '/c', SPOOL_DIR: '/s' }
    assert.deepEqual(ignoredSettings({ ...env, ...ignored }), Object.keys(ignored))
  })

  test('know each other by the ports in use', () => {
    const tokens = { file: '/d/up.tokens', token: 'wfm_x' }
    const given = { ALLOW_ANONYMOUS: 'ingest', TOKENS_FILE: '/theirs' }
    const layout = {
      dir: '/d',
      site: 'fab7',
      ports,
      databaseUrl: 'postgres://x',
      tokens,
      env: given,
      simulated: false,
    }
    const env = Object.fromEntries(roleChildren(layout).map((child) => [child.name, child.env]))
    assert.equal(env.sidecar?.LOCAL_API_BASE, 'http://127.0.0.1:2')
    assert.equal(env.central?.SITES, 'fab7=http://127.0.0.1:2')
    assert.equal(env['web-central']?.CENTRAL_API, 'http://127.0.0.1:4')
    assert.equal(env.web?.PORT, '5')
    assert.equal(env.sidecar?.DATABASE_URL, undefined)
    for (const of of Object.values(env)) {
      assert.deepEqual([of.TOKENS_FILE, of.ALLOW_ANONYMOUS], ['/d/up.tokens', 'ingest'])
    }
    for (const name of ['sidecar', 'central', 'web', 'web-central']) {
      assert.equal(env[name]?.LOCAL_API_TOKEN, 'wfm_x', name)
    }
    assert.equal(simulatorChild(layout).env.SIDECAR_TOKEN, 'wfm_x')
  })
})

describe('the default folder', () => {
  test('is where services keep their state for root, and the own state folder for others', () => {
    assert.equal(defaultDir({ XDG_STATE_HOME: '/x' }, true), '/var/lib/wafermon')
    assert.equal(defaultDir({ XDG_STATE_HOME: '/x' }, false), '/x/wafermon')
    assert.match(defaultDir({}, false), /\/\.local\/state\/wafermon$/)
  })
})
