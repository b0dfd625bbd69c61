import assert from 'node:assert/strict'
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { startElkPeer } from '../sinks/elk-peer.ts'
import { send, startHttpPeer } from '../sinks/http-peer.ts'
import { startZabbixPeer } from '../sinks/zabbix-peer.ts'
import { freePort, freshFolder } from '../support/processes.ts'
import { wafermon } from '../support/run.ts'

const check = (list: unknown, ...flags: string[]) =>
  wafermon(['config', 'check', '--role', 'sidecar', ...flags], {
    INTEGRATIONS_CONFIG: JSON.stringify(list),
  })

describe('config check --connect', () => {
  test('asks each sink without an event, and says which is not ready', async (t) => {
    const folder = freshFolder()
    const taken = join(folder, 'file')
    writeFileSync(taken, '')
    const api = await startHttpPeer(t, (_, response) => send(response, 200, { status: 'ok' }))
    const hook = await startHttpPeer(t, (_, response) => send(response, 405))
    const elk = await startElkPeer(t)
    const zabbix = await startZabbixPeer(t)
    const traces = await startHttpPeer(t, (_, response) => send(response, 200))
    const away = `http://127.0.0.1:${await freePort()}`
    const list = [
      { type: 'local_api', name: 'api', config: { base_url: api.url } },
      { type: 'webhook', name: 'hook', config: { webhook_url: hook.url } },
      { type: 'elk', name: 'elk', config: { elasticsearch_url: elk.url } },
      {
        type: 'zabbix',
        name: 'zabbix',
        config: { zabbix_server: `127.0.0.1:${zabbix.port}`, host: 'wafermon' },
      },
      { type: 'otlp', name: 'traces', config: { endpoint: traces.url } },
      { type: 'csv', name: 'files', config: { output_dir: join(folder, 'csv') } },
      { type: 'json', name: 'blocked', config: { output_dir: taken } },
      { type: 'webhook', name: 'away', config: { webhook_url: away } },
      { type: 'webhook', name: 'off', enabled: false, config: { webhook_url: away } },
    ]
    const { code, out: stdout } = await check(list, '--connect')
    assert.equal(code, 1, stdout)
    const lines = stdout.trim().split('\n')
    for (const name of ['api', 'hook', 'elk', 'zabbix', 'traces', 'files']) {
      assert.ok(
        lines.some((line) => line.startsWith(`sink ${name} (`) && line.endsWith('): ready')),
        stdout,
      )
    }
    assert.match(stdout, /sink blocked \(json\): not ready: .*EEXIST|ENOTDIR/)
    assert.match(stdout, /sink away \(webhook\): not ready: it cannot be reached \(ECONNREFUSED\)/)
    assert.doesNotMatch(stdout, /sink off/)
    assert.deepEqual(
      [api, hook, traces].map(({ asked }) => asked.map(({ body }) => body)),
      [[''], [''], ['']],
    )
    assert.deepEqual(
      zabbix.packets.map(({ sent }) => sent),
      [[]],
    )
    assert.deepEqual([elk.bulks, readdirSync(join(folder, 'csv'))], [0, []])
  })

  test('ends with 0 when all are ready, and with 2 and all problems when they are wrong', async () => {
    const dir = join(freshFolder(), 'csv')
    mkdirSync(dir)
    const files = { type: 'csv', name: 'files', config: { output_dir: dir } }
    const ready = await check([files], '--connect', '--json')
    assert.equal(ready.code, 0, ready.out)
    assert.deepEqual(JSON.parse(ready.out).sinks, [{ name: 'files', type: 'csv', problem: null }])
    const wrong = await check(
      [{ ...files, config: { output: 'hunter2' } }, { type: 'x' }],
      '--connect',
    )
    assert.equal(wrong.code, 2)
    for (const problem of [
      /output_dir: must be text/,
      /output: no such setting/,
      /entry 2: name/,
    ]) {
      assert.match(wrong.out, problem)
    }
    assert.doesNotMatch(wrong.out + wrong.err, /hunter2/)
  })
})
