// biome-ignore-all lint/suspicious/noTemplateCurlyInString: variables of a configuration look like this
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { startElkPeer } from '../sinks/elk-peer.ts'
import { send, startHttpPeer } from '../sinks/http-peer.ts'
import { freePort, freshFolder, launch, startRole, until } from '../support/processes.ts'
import { postEvents, startOfJob } from '../support/wire-events.ts'

/* A real sidecar with many sinks at the same time. */

describe('a sidecar with several sinks', () => {
  test('delivers each event to each of them, while one is dead', async (t) => {
    const dir = freshFolder()
    const hooked = new Set<string>()
    const hook = await startHttpPeer(t, ({ body }, response) => {
      hooked.add(JSON.parse(body).idempotency_key)
      send(response, 200)
    })
    const elk = await startElkPeer(t)
    const away = `http://127.0.0.1:${await freePort()}`
    const list = [
      { type: 'csv', name: 'csv', config: { output_dir: join(dir, 'csv') } },
      { type: 'json', name: 'json', config: { output_dir: '${EVENTS_DIR}' } },
      {
        type: 'webhook',
        name: 'hook',
        filter: { app: ['etch'] },
        config: { webhook_url: hook.url },
      },
      { type: 'elk', name: 'elk', config: { elasticsearch_url: elk.url } },
      { type: 'local_api', name: 'dead', required: false, config: { base_url: away } },
    ]
    const sidecar = await startRole(t, 'sidecar', {
      SPOOL_DIR: join(dir, 'spool'),
      INTEGRATIONS_CONFIG: JSON.stringify(list),
      EVENTS_DIR: join(dir, 'json'),
    })
    const app = { app_id: '5f0c41c2-7c42-4d10-9a35-0193581eb7e8', name: 'litho' }
    const events = Array.from({ length: 40 }, (_, i) => startOfJob(i % 2 === 0 ? {} : { app }))
    const { status } = await postEvents(sidecar.url, events, ':batch')
    assert.equal(status, 200)

    const read = (name: string) => {
      const folder = join(dir, name)
      const files = readdirSync(folder).filter((file) => file.startsWith('open_'))
      return files.map((file) => readFileSync(join(folder, file), 'utf8')).join('')
    }
    await until('the elk peer to have all', () => elk.documents.size === events.length)
    await until('the webhook to have those of its filter', () => hooked.size === events.length / 2)
    await until('the files to have all', () =>
      events.every(
        ({ idempotency_key: key }) => read('csv').includes(key) && read('json').includes(key),
      ),
    )
    assert.equal(read('csv').trim().split('\r\n').length, events.length + 1)
    assert.equal(read('json').trim().split('\n').length, events.length)
    const health = (await (await fetch(`${sidecar.url}/v1/healthz`)).json()) as {
      sinks: Record<string, { lag_events: number; reason?: string }>
    }
    assert.equal(health.sinks.csv?.lag_events, 0)
    assert.match(String(health.sinks.dead?.reason), /it cannot be reached/)
  })

  test('does not start with a wrong list, and names every problem', async () => {
    const list = JSON.stringify([
      { type: 'csv', name: 'a', config: {} },
      { type: 'x', name: 'b' },
    ])
    const running = launch(['sidecar'], { SPOOL_DIR: freshFolder(), INTEGRATIONS_CONFIG: list })
    const { code } = await running.ended
    assert.equal(code, 2)
    assert.match(running.logs(), /sink a: output_dir: must be text/)
    assert.match(running.logs(), /sink b: type: there is no x; must be one of local_api, csv/)
    assert.doesNotMatch(running.logs(), /\n\s+at /)
  })
})
