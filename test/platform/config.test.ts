import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { ConfigError } from '../../src/core/errors.ts'
import { knownSettings, type RoleName, readConfig, roleSettings } from '../../src/roles/settings.ts'
import { freshFolder, launch, startRole, until } from '../support/processes.ts'
import { runs } from '../support/wild.ts'

/* Settings that no operator should write: each is accepted, or named in a sentence. */

const { notReadYet } = knownSettings
const roles = Object.keys(roleSettings) as RoleName[]
const namesOf = (role: RoleName) => Object.keys(roleSettings[role].shape)

const odd = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 20 }),
  fc.constantFrom(
    ...[
      '',
      ' ',
      '0',
      '-1',
      '1.5',
      '1e999',
      'NaN',
      'Infinity',
      '0x10',
      '65536',
      'true',
      'TRUE',
      'x',
    ],
    ...['http://', 'http://[', 'http://%zz', 'http://h/%', 'ftp://h', 'http://u:hunter2@h', '//h'],
    ...['postgres://', 'postgres://u:%zz@h/d', 'postgres://h/%', 'postgres://u:hunter2@h:99999/d'],
    ...['a=http://h', 'a=http://[', 'a=http://h,a=http://h', '..=http://h', 'a=http://u:hunter2@h'],
    ...['ingest', 'ingest,,x', 'word word', 'word\nword', '\u0000', '__proto__', '/'.repeat(300)],
  ),
)
const settings = (role: RoleName) =>
  fc.dictionary(fc.constantFrom(...namesOf(role), 'NO_SUCH'), odd, { maxKeys: 6 })

/** Throws unless the settings are taken, or refused in words. @returns whether they were taken */
function assertReads(role: RoleName, sources: Parameters<typeof readConfig>[1]): boolean {
  try {
    readConfig(role, sources)
    return true
  } catch (error) {
    assert.ok(error instanceof ConfigError, String((error as Error).stack))
    for (const problem of error.problems) {
      assert.match(problem, /^([A-Z\d_]+(, [A-Z\d_]+)*|.*\.yaml): \S.{8}|is not a setting/s)
      assert.doesNotMatch(problem, /hunter2|\[object|undefined|Invalid input|expected/)
    }
    return false
  }
}

describe('the settings of a role', () => {
  test('are taken, or refused by name, whatever the environment holds', () => {
    for (const role of roles) {
      fc.assert(
        fc.property(settings(role), (env) => void assertReads(role, { env })),
        { numRuns: runs(300) },
      )
    }
  })

  test('are taken, or refused by name, whatever a file holds', () => {
    const file = join(freshFolder(), 'wafermon.yaml')
    const value = fc.oneof(
      fc.json({ maxDepth: 2 }),
      odd.map((text) => JSON.stringify(text)),
    )
    const yaml = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 60 }),
      fc
        .array(fc.tuple(fc.constantFrom(...namesOf('sidecar'), '__proto__'), value), {
          maxLength: 4,
        })
        .map((lines) => lines.map(([name, text]) => `${name}: ${text}`).join('\n')),
      fc.constantFrom('PORT: &a [*a]', 'PORT: .inf', 'PORT: 2026-01-01', '? {a: 1}\n: 2', '- PORT'),
      fc.constantFrom('LOG_LEVEL: &a {b: *a}', 'PORT: !!binary aGk=', 'PORT: 0x1F', '"PORT": 1'),
    )
    fc.assert(
      fc.property(yaml, (text) => {
        writeFileSync(file, text)
        assertReads('sidecar', { env: {}, file })
      }),
      { numRuns: runs(300) },
    )
  })

  const wrong: [string, RoleName, Record<string, string>][] = [
    ['a password that cannot be decoded', 'local-api', { DATABASE_URL: 'postgres://a:%zz@h/db' }],
    ['a site without a host', 'central', { SITES: 'fab1=http://[' }],
    ['a site with a password', 'central', { SITES: 'fab1=http://u:hunter2@h' }],
    ['an API with a password', 'sidecar', { LOCAL_API_BASE: 'http://u:hunter2@h' }],
    ['an API with a query', 'sidecar', { LOCAL_API_BASE: 'http://h/?x=1' }],
    ['a token of two lines', 'sidecar', { LOCAL_API_TOKEN: 'hunter2\nhunter2' }],
    ['a list as a port', 'sidecar', { PORT: '[1]' }],
  ]
  for (const [name, role, env] of wrong) {
    test(`do not take ${name}`, () => {
      assert.equal(assertReads(role, { env }), false)
    })
  }

  test('take a token with the line end of its file', () => {
    const { config } = readConfig('sidecar', { env: { LOCAL_API_TOKEN: 'abc\n' } })
    assert.equal(config.LOCAL_API_TOKEN, 'abc')
  })
})

describe('a configuration that starts, but not as meant', () => {
  const warningsOf = (env: Record<string, string>) => readConfig('sidecar', { env }).warnings

  test('warns of a collector on the port of gRPC, wherever it is given, if traces are on', () => {
    const on = { ENABLE_TRACING: 'true' }
    for (const name of ['OTLP_ENDPOINT', 'OTEL_EXPORTER_OTLP_ENDPOINT']) {
      const [warning, ...more] = warningsOf({ ...on, [name]: 'http://h:4317' })
      assert.match(warning ?? '', /^OTLP_ENDPOINT: port 4317 is .* use port 4318$/)
      assert.deepEqual(more, [])
      assert.deepEqual(warningsOf({ ...on, [name]: 'http://h:4318' }), [])
      assert.deepEqual(warningsOf({ [name]: 'http://h:4317' }), [])
    }
  })

  test('warns of a spool that a reboot empties, and of no other', () => {
    for (const dir of ['/tmp', '/tmp/', '/tmp/spool', '/var/../tmp/spool', '//tmp/spool']) {
      assert.match(warningsOf({ SPOOL_DIR: dir })[0] ?? `none: ${dir}`, /^SPOOL_DIR: is in \/tmp/)
    }
    for (const dir of ['/tmpfoo', '/tmp-spool/x', '/srv/tmp', '/tmp/../srv', '']) {
      assert.deepEqual(warningsOf({ SPOOL_DIR: dir }), [], dir)
    }
  })

  test('warns of every variable that is not supported yet, on every role that starts', () => {
    const env = Object.fromEntries(notReadYet.map((name) => [name, 'hunter2']))
    const needed = { DATABASE_URL: 'postgres://h/d', SITES: 'a=http://h', LOCAL_API: 'http://h' }
    for (const role of roles) {
      const { warnings } = readConfig(role, { env: { ...env, ...needed } })
      assert.deepEqual(
        warnings,
        notReadYet.map(
          (name) =>
            `${name}: is not supported yet and has no effect; remove it from the environment`,
        ),
      )
    }
    assert.deepEqual(warningsOf({ SMTP_URL: '' }), [])
  })

  test('does not start with one of them in its file', () => {
    const file = join(freshFolder(), 'wafermon.yaml')
    writeFileSync(file, 'SMTP_URL: fab1\nSMPT_URL: fab1\n')
    assert.throws(() => readConfig('archiver', { env: { DATABASE_URL: 'postgres://h/d' }, file }), {
      problems: [
        `SMTP_URL: is not supported yet; remove it from ${file}`,
        `SMPT_URL: is not a setting (in ${file}); check the spelling`,
      ],
    })
  })

  test('calls no setting unsupported that is read', () => {
    const read = new Set(roles.flatMap(namesOf))
    assert.deepEqual(
      notReadYet.filter((name) => read.has(name)),
      [],
    )
  })

  test('says so in the log of the role', async (t) => {
    const env = { SMTP_URL: 'smtp://me:hunter2@h', SPOOL_DIR: freshFolder() }
    const role = await startRole(t, 'sidecar', env)
    await until('the warning', () => /"warning":"SMTP_URL: is not supported yet/.test(role.logs()))
    assert.doesNotMatch(role.logs(), /hunter2/)
  })
})

describe('an invalid command line', () => {
  const garbage = join(freshFolder(), 'garbage.pem')
  writeFileSync(garbage, 'garbage')
  const spool = { SPOOL_DIR: freshFolder(), PORT: '0' }
  const lines: [string[], Record<string, string>, RegExp][] = [
    [[], {}, /Usage: wafermon/],
    [['nonsense'], {}, /unknown command 'nonsense'/],
    ...['sidecar', 'local-api', 'archiver', 'central', 'web', 'migrate', 'up', 'simulate'].map(
      (command): [string[], Record<string, string>, RegExp] => [
        [command, '--nonsense'],
        {},
        /unknown option '--nonsense'/,
      ],
    ),
    [['replay'], {}, /missing required argument 'file'/],
    [['config', 'check', '--role', 'x'], {}, /--role: there is no role x/],
    [['token', 'new'], {}, /required option '--scope/],
    [['sidecar', 'extra'], {}, /too many arguments/],
    [['sidecar', '--port', 'x'], {}, /PORT: must be a whole number/],
    [['up', '--web-port', '1e9'], {}, /It must be a port/],
    [['up', '--dir', ''], {}, /--dir <folder>' argument '' is invalid. It must name a folder/],
    [['simulate', '--rate', '-1'], {}, /It must be a number over 0/],
    [['local-api'], { DATABASE_URL: 'postgres://a:%zz@h/d' }, /DATABASE_URL: must be a URL/],
    [['sidecar'], { ...spool, SPOOL_DIR: '/proc/x/y' }, /SPOOL_DIR: cannot write to \/proc\/x\/y/],
    [['sidecar'], { ...spool, SPOOL_DIR: '/dev/null/x' }, /SPOOL_DIR: cannot write/],
    [
      ['sidecar'],
      { ...spool, TLS_CERT: garbage, TLS_KEY: garbage },
      /TLS_CERT: .* is not a PEM certificate/,
    ],
    [
      ['sidecar', '--insecure', '--host', 'no such host'],
      spool,
      /HOST: no such host is not an address/,
    ],
  ]
  for (const [args, env, message] of lines) {
    test(`ends with code 2 and a sentence: ${args.join(' ')} ${Object.keys(env).at(-1) ?? ''}`, async () => {
      const child = launch(args, env)
      assert.equal((await child.ended).code, 2, child.logs())
      assert.match(child.logs(), message)
      assert.doesNotMatch(child.logs(), /\n\s+at |"stack"|node:internal/)
    })
  }
})
