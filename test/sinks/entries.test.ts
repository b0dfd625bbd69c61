// biome-ignore-all lint/suspicious/noTemplateCurlyInString: variables of a configuration look like this
import assert from 'node:assert/strict'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { ConfigError } from '../../src/core/errors.ts'
import { knownSettings, readConfig, roleSettings } from '../../src/roles/settings.ts'
import type { SinkEntry } from '../../src/sinks/entry.ts'
import { readEntries } from '../../src/sinks/read-entries.ts'
import { showConfig } from '../../src/tools/config.ts'
import { freshFolder } from '../support/processes.ts'
import { runs } from '../support/wild.ts'

type Env = Record<string, string>

const api = { type: 'local_api', name: 'api', config: { base_url: 'http://h' } }
const files = { type: 'csv', name: 'files', config: { output_dir: '/var/csv' } }

const read = (list: unknown, env: Env = {}): readonly SinkEntry[] => {
  const { value, problems } = readEntries(JSON.stringify(list), env)
  assert.deepEqual(problems, [])
  return value ?? []
}
const problemsOf = (given: unknown, env: Env = {}) =>
  readEntries(typeof given === 'string' ? given : JSON.stringify(given), env).problems.map((text) =>
    text.replace(/^INTEGRATIONS_CONFIG: /, ''),
  )

describe('INTEGRATIONS_CONFIG', () => {
  test('is read inline, from a file, and from the file of settings', () => {
    const folder = freshFolder()
    const path = join(folder, 'sinks.json')
    writeFileSync(path, `\ufeff${JSON.stringify([api])}`)
    const yaml = join(folder, 'wafermon.yaml')
    const named = (env: Env, file?: string) =>
      readConfig('sidecar', { env, file }).config.INTEGRATIONS_CONFIG?.map(({ name }) => name)
    assert.deepEqual(named({ INTEGRATIONS_CONFIG: JSON.stringify([api, files]) }), ['api', 'files'])
    assert.deepEqual(named({ INTEGRATIONS_CONFIG: path }), ['api'])
    for (const text of [path, `[${JSON.stringify(files)}]`, `'${JSON.stringify([files])}'`]) {
      writeFileSync(yaml, `INTEGRATIONS_CONFIG: ${text}\n`)
      assert.deepEqual(named({}, yaml), [text === path ? 'api' : 'files'])
    }
    assert.equal(named({}), undefined)
  })

  test('gives each entry its defaults', () => {
    const [entry] = read([files])
    assert.deepEqual(entry, {
      ...files,
      ...{ enabled: true, required: true, from: 'oldest', filter: {} },
    })
  })

  test('takes the local API for the sink that misses nothing, or all when there is none', () => {
    const required = (...list: object[]) => read(list).map((entry) => entry.required)
    assert.deepEqual(required(api, files), [true, false])
    assert.deepEqual(required({ ...api, enabled: false }, files), [true, true])
    assert.deepEqual(required({ ...api, required: false }, { ...files, required: true }), [
      false,
      true,
    ])
  })

  test('fills in variables in any text, and leaves $${ alone', () => {
    const config = { base_url: 'http://${HOST}:1', token: 'a${A}b${B}', timeout: '${T}' }
    const [entry] = read([{ ...api, config }], { HOST: 'h', A: '1', B: '${A}', T: '7' })
    assert.deepEqual(entry?.config, { base_url: 'http://h:1', token: 'a1b${A}', timeout: '7' })
    const [plain] = read([{ ...files, config: { output_dir: '/a/$${b}/$c' } }])
    assert.deepEqual(plain?.config, { output_dir: '/a/${b}/$c' })
  })

  test('names every problem at the same time, by entry and field', () => {
    const list = [
      { ...api, config: { base_url: 'ftp://h', tokn: 'x' }, from: 'yesterday', retries: 3 },
      { ...files, config: { output_dir: '${NOWHERE}' } },
      { ...files, batch_size: 0, filter: { kind: ['stopped'], lot: ['a'], tick_sample: 2 } },
      { type: 'csv', config: {} },
      { type: 'zabbx', name: 'z', config: [] },
      'csv',
    ]
    assert.deepEqual(problemsOf(list), [
      'sink api: from: must be one of oldest, now',
      'sink api: retries: no such setting; check the spelling',
      'sink api: base_url: must be a URL such as http://host:port, without user, query or fragment',
      'sink api: tokn: no such setting; check the spelling',
      'sink files: output_dir: the variable NOWHERE is not set',
      'sink files: filter.kind.0: must be a list of queued, started, progress, metric, finished, error, canceled',
      'sink files: filter.tick_sample: must be a number from 0 to 1',
      'sink files: filter.lot: no such setting; check the spelling',
      'sink files: batch_size: must be a whole number from 1 to 10000 events',
      'entry 4: name: must be text of 1 to 64 characters without control characters',
      'entry 4: output_dir: must be text',
      'sink z: config: must be an object of settings',
      'entry 6: must be an object {type, name, config}',
      'sink files: name: is there twice; give each sink a name of its own',
    ])
  })

  for (const [what, given, problem] of [
    ['no entry', '[]', /has no entry/],
    ['none that is enabled', [{ ...api, enabled: false }], /no entry is enabled/],
    ['an object', '{}', /must be a list/],
    ['half a list', '[{"name": "hunter2"', /is not JSON; write \[/],
    ['a file that is not there', '/nowhere/sinks.json', /cannot read \/nowhere\/sinks.json/],
    ['a folder', '/', /cannot read \//],
    ['a kind that does not exist', [{ ...api, type: 'zabbx' }], /type: there is no zabbx; must be/],
    ['a type that is no text', [{ ...api, type: 7 }], /type: must be the name of a kind/],
    [
      'pretty JSON',
      [{ ...files, type: 'json', config: { output_dir: '/x', pretty_print: true } }],
      /pretty_print: must be false: an event over several lines/,
    ],
    [
      'a variable without a name',
      [{ ...files, config: { output_dir: '${}' } }],
      /variable without/,
    ],
    [
      'a list as deep as a well',
      `[${'['.repeat(50_000)}${']'.repeat(50_000)}]`,
      /nested too deeply/,
    ],
  ] as const) {
    test(`is refused with ${what}`, () => {
      const [first = ''] = problemsOf(given)
      assert.match(first, problem)
      assert.doesNotMatch(first, /hunter2/)
    })
  }

  test('is taken, or refused in words, whatever it holds', () => {
    const value = fc.oneof(
      fc.json({ maxDepth: 3 }).map((text) => JSON.parse(text)),
      fc.constantFrom(
        'hunter2',
        '${hunter2}',
        '${',
        -1,
        1e300,
        [],
        {},
        null,
        '__proto__',
        '\u0000',
      ),
    )
    const field = fc.constantFrom(
      ...['type', 'name', 'enabled', 'required', 'from', 'filter', 'batch_size', 'rate_limit'],
      ...['config', '__proto__', 'constructor', 'x'],
    )
    const settings = ['output_dir', 'rotation', 'max_bytes', 'delimiter', 'webhook_url', 'headers']
    const more = ['secret', 'reject_on', 'ca', 'elasticsearch_url', 'index_prefix', '__proto__']
    const zabbix = ['zabbix_server', 'host', 'key', 'history_days', 'auth_token']
    const config = fc.dictionary(fc.constantFrom(...settings, ...more, ...zabbix), value, {
      maxKeys: 4,
    })
    const type = fc.constantFrom('local_api', 'csv', 'json', 'webhook', 'elk', 'zabbix', 'none')
    const entry = fc.oneof(
      value,
      fc
        .tuple(type, config, fc.dictionary(field, value, { maxKeys: 2 }))
        .map(([type, config, odd]) => ({
          ...{ type, name: 'n', config },
          ...odd,
        })),
    )
    fc.assert(
      fc.property(fc.array(entry, { maxLength: 3 }), (list) => {
        const env = { INTEGRATIONS_CONFIG: JSON.stringify(list) }
        try {
          readConfig('sidecar', { env })
        } catch (error) {
          assert.ok(error instanceof ConfigError, String((error as Error).stack))
          for (const problem of error.problems) {
            assert.match(problem, /^INTEGRATIONS_CONFIG: \S.{8}/s)
            assert.doesNotMatch(problem, /\[object|undefined|Invalid |expected/)
          }
        }
      }),
      { numRuns: runs(500) },
    )
  })

  test('is masked as a whole where settings are shown', () => {
    const env = { INTEGRATIONS_CONFIG: JSON.stringify([{ ...api, config: { token: 'hunter2' } }]) }
    const catalog = { roles: roleSettings, known: knownSettings }
    const shown = showConfig(catalog, { env }, 'sidecar')
    const one = shown.find(({ name }) => name === 'INTEGRATIONS_CONFIG')
    assert.equal(one?.value, '********')
    assert.doesNotMatch(JSON.stringify(shown), /hunter2/)
  })

  test('warns of a certificate that is not checked', () => {
    const hook = {
      type: 'webhook',
      name: 'w',
      config: { webhook_url: 'https://h', verify_ssl: false },
    }
    const { warnings } = readConfig('sidecar', {
      env: { INTEGRATIONS_CONFIG: JSON.stringify([hook]) },
    })
    assert.deepEqual(warnings, [
      'INTEGRATIONS_CONFIG: sink w: verify_ssl: the certificate of the receiver is not checked',
    ])
  })
})

describe('the files of the earlier system', () => {
  test('are taken as they are', () => {
    const list = [
      { ...api, config: { base_url: 'http://h:18000', timeout: 5.0 } },
      {
        ...{ type: 'csv', name: 'csv-backup', enabled: true },
        config: { output_dir: '/x', rotation: 'daily', include_headers: true, delimiter: ',' },
      },
      {
        ...{ type: 'json', name: 'json-export', enabled: false },
        config: { output_dir: '/y', rotation: 'hourly', compression: true, pretty_print: false },
      },
      {
        ...{ type: 'webhook', name: 'custom-system', enabled: true },
        config: {
          ...{ webhook_url: 'https://your-system.com/api/events', method: 'POST', timeout: 5.0 },
          ...{ headers: { Authorization: 'Bearer your-token' }, verify_ssl: true },
        },
      },
      {
        ...{ type: 'elk', name: 'elasticsearch', enabled: true },
        config: {
          ...{ elasticsearch_url: 'http://elasticsearch:9200', index_prefix: 'wafer-monitor' },
          ...{ username: 'elastic', password: 'changeme' },
        },
      },
      {
        ...{ type: 'zabbix', name: 'zabbix', enabled: true },
        config: { zabbix_server: 'http://zabbix-server:10051', host: 'wafer-monitor' },
      },
      {
        ...{ type: 'aws_cloudwatch', name: 'cloudwatch', enabled: true },
        config: {
          ...{ aws_region: 'us-east-1', log_group_name: '/aws/wafer-monitor' },
          ...{ namespace: 'WaferMonitor', compute_platform: 'ec2', instance_id: 'i-0abc' },
        },
      },
      {
        ...{ type: 'aws_xray', name: 'xray', enabled: true },
        config: { aws_region: 'us-east-1', service_name: 'wafer-monitor' },
      },
    ]
    assert.equal(read(list).length, list.length)
  })
})

describe('the examples', () => {
  const folder = 'examples/integrations'
  const names = readdirSync(folder).filter((name) => name.endsWith('.json'))

  test('are six', () => {
    const stems = names.map((name) => name.replace('.json', ''))
    const all = [
      'aws-cloudwatch',
      'aws-ecs',
      'aws-lambda',
      'development',
      'monitoring-only',
      'production',
    ]
    assert.deepEqual(stems.sort(), all)
  })

  for (const name of names) {
    test(`configure a sidecar: ${name}`, () => {
      const text = readFileSync(join(folder, name), 'utf8')
      const variables = [...text.matchAll(/\$\{(\w+)\}/g)].map(([, variable = '']) => variable)
      const secret = `whsec_${Buffer.alloc(32).toString('base64')}`
      const known: [RegExp, string][] = [
        [/SECRET/, secret],
        [/BASE/, 'http://h:1'],
        [/REGION/, 'eu-central-1'],
      ]
      const exampleOf = (variable: string) =>
        known.find(([pattern]) => pattern.test(variable))?.[1] ?? 'word'
      const env = Object.fromEntries(variables.map((variable) => [variable, exampleOf(variable)]))
      const { config, warnings } = readConfig('sidecar', {
        env: { ...env, INTEGRATIONS_CONFIG: join(folder, name) },
      })
      assert.equal(config.INTEGRATIONS_CONFIG?.length, JSON.parse(text).length)
      assert.deepEqual(warnings, [])
    })
  }
})
