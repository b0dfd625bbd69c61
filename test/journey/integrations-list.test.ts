import assert from 'node:assert/strict'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { send, startHttpPeer } from '../sinks/http-peer.ts'
import { askIntegrations, sinksByName } from '../support/integrations.ts'
import { freePort, freshFolder, startRole, until } from '../support/processes.ts'
import { postEvents, startOfJob } from '../support/wire-events.ts'

/* What a real sidecar says of its sinks. */

const shape = [
  ...['name', 'type', 'required', 'state', 'lag_events', 'lag_s', 'lag_bytes', 'delivered'],
  ...['filtered', 'rejects', 'skipped', 'failures', 'last_error', 'last_delivery_at'],
]

describe('GET /v1/integrations', () => {
  test('shows each sink in its state: working, failing, stopped, detached, disabled', async (t) => {
    const dir = freshFolder()
    const lying = await startHttpPeer(t, (_, response) => send(response, 200, { total: 7 }))
    const away = `http://127.0.0.1:${await freePort()}`
    const csv = { type: 'csv', name: 'csv', config: { output_dir: join(dir, 'csv') } }
    const failing = { type: 'elk', name: 'elk', config: { elasticsearch_url: away } }
    const old = { type: 'json', name: 'old', config: { output_dir: join(dir, 'old') } }
    const mail = { ...old, name: 'mail', config: { output_dir: join(dir, 'mail') } }
    const hook = {
      ...{ type: 'local_api', name: 'hook', required: false },
      config: { base_url: lying.url },
    }
    const start = (list: readonly object[]) =>
      startRole(t, 'sidecar', {
        SPOOL_DIR: join(dir, 'spool'),
        INTEGRATIONS_CONFIG: JSON.stringify(list),
      })
    const first = await start([csv, old, mail])
    await postEvents(first.url, [startOfJob(), startOfJob()], ':batch')
    await until('files', async () => (await sinksByName(first.url)).old?.delivered === 2)
    await first.stop()

    const never = { ...csv, name: 'never', enabled: false }
    const filtered = { ...csv, filter: { app: ['litho'] } }
    const list = [filtered, failing, hook, { ...mail, enabled: false }, never]
    const { url } = await start(list)
    await postEvents(url, [startOfJob(), startOfJob(), startOfJob()], ':batch')
    await until('failures', async () => {
      const { elk, hook: other, csv: files } = await sinksByName(url)
      return !!elk?.failures && !!other?.failures && files?.lag_events === 0
    })
    const { total, enabled, integrations } = await askIntegrations(url)
    assert.deepEqual([total, enabled], [6, 3])
    for (const one of integrations) assert.deepEqual(Object.keys(one), shape)
    const names = integrations.map(({ name, type }) => `${name} ${type}`)
    const last = ['mail json', 'never csv', 'old null']
    assert.deepEqual(names, ['csv csv', 'elk elk', 'hook local_api', ...last])
    const [files, elk, liar, disabled, unbegun, detached] = integrations
    const { delivered, filtered: left, lag_events, last_error } = files!
    assert.deepEqual([delivered, left, lag_events, last_error], [2, 3, 0, null])
    assert.ok(Date.parse(files?.last_delivery_at ?? '') > 0)
    assert.deepEqual([elk?.state, elk?.lag_events, elk?.required], ['failing', 3, false])
    assert.ok(elk!.lag_bytes > 300 && elk!.lag_s >= 0 && elk!.last_error!.includes('cannot be'))
    assert.match(String(liar?.last_error), /./)
    assert.deepEqual([disabled?.state, disabled?.lag_events], ['disabled', 3])
    assert.deepEqual([unbegun?.state, unbegun?.lag_events], ['disabled', 0])
    assert.deepEqual([detached?.state, detached?.lag_events], ['detached', 3])

    const text = await (await fetch(`${url}/metrics`)).text()
    for (const line of [
      'wafermon_sink_filtered_events_total{sink="csv"} 3',
      'wafermon_sink_skipped_events_total{sink="elk"} 0',
      'wafermon_sink_state{sink="csv",state="ok"} 1',
      'wafermon_sink_state{sink="elk",state="failing"} 1',
      'wafermon_sink_state{sink="mail",state="disabled"} 1',
      'wafermon_sink_state{sink="old",state="detached"} 1',
    ])
      assert.ok(text.includes(line), `${line}\n${text}`)
    const health = (await (await fetch(`${url}/v1/healthz`)).json()) as { faults: string[] }
    assert.match(health.faults.join(), /mail: is not enabled, and 3 events are kept for it/)
    assert.match(health.faults.join(), /old: is not configured, and 3 events are kept for it/)
  })

  test('has none of the secrets that a destination says back, nor has the log', async (t) => {
    const secret = 'whsec_c2VjcmV0IG9mIHRoZSB0ZXN0IHNpbms='
    const echo = await startHttpPeer(t, ({ request }, response) =>
      send(response, 400, `no: ${request.headers['x-key']}`),
    )
    const config = { webhook_url: `${echo.url}/hook-token`, headers: { 'x-key': secret } }
    const sidecar = await startRole(t, 'sidecar', {
      SPOOL_DIR: freshFolder(),
      INTEGRATIONS_CONFIG: JSON.stringify([{ type: 'webhook', name: 'hook', config }]),
    })
    await postEvents(sidecar.url, startOfJob())
    await until('the reject', async () => (await sinksByName(sidecar.url)).hook?.rejects === 1)
    const rejects = await (await fetch(`${sidecar.url}/v1/rejects`)).text()
    assert.match(rejects, /no: \*{8}/)
    assert.doesNotMatch(rejects + sidecar.logs(), /c2VjcmV0/)
  })
})
