import assert from 'node:assert/strict'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { Outgoing } from '../../src/core/delivery.ts'
import { readKeyTemplate } from '../../src/sinks/zabbix/key.ts'
import { isRefusal, toItem } from '../../src/sinks/zabbix/value.ts'
import { freshFolder, startRole, until } from '../support/processes.ts'
import { wafermon } from '../support/run.ts'
import { postEvents } from '../support/wire-events.ts'
import { needsZabbix, type Stored, startZabbix, type Zabbix } from '../support/zabbix.ts'

/* A sidecar and a real Zabbix 6.0: what is in its database, and how often. */

const apps = ['etch', 'litho apc', '[x] "y" {z}', 'a,b', 'é日', '"q"', ' lead', 'a[b']

/** The events of some jobs, as programs send them. */
function eventsOf(count: number) {
  return Array.from({ length: count }, (_, i) => {
    const ms = Date.now() - 60_000 + i
    const time = (offset: number) => new Date(ms + offset).toISOString().replace('Z', '123Z')
    const app = { app_id: '5f0c41c2-7c42-4d10-9a35-0193581eb7e8', name: apps[i % apps.length] }
    const entity = { type: 'job', id: crypto.randomUUID() }
    const of = (kind: string, at: string, metrics?: object) => ({
      ...{ idempotency_key: crypto.randomUUID(), site_id: 'fab1', app, entity },
      event: { kind, at, started_at: time(0), ...(metrics ? { metrics } : {}) },
    })
    return [
      of('started', time(0)),
      of('progress', time(1000), { progress: (i % 10) / 10 }),
      of('metric', time(2000), { cd_nm: 38 + i / 1000 }),
      of('finished', time(3000), { duration_s: 3 + i / 7 }),
    ]
  }).flat()
}

const template = readKeyTemplate('wafer.{entity_type}.{kind}[{app}]') ?? assert.fail()
const rowOf = ({ key, clock, ns, value }: Omit<Stored, 'value'> & { value: number | string }) =>
  `${key} ${clock}.${ns} ${Number(value)}`

/** The rows that these events are to Zabbix. */
const rowsOf = (events: readonly object[]): string[] =>
  events.flatMap((event) => {
    const options = { template, historyDays: 90, nowMs: Date.now() }
    const item = toItem(new Outgoing(1, JSON.stringify(event)), options)
    assert.ok(!isRefusal(item))
    return item.values.map(rowOf)
  })

const listFor = ({ address, host }: Zabbix) =>
  JSON.stringify([{ type: 'zabbix', name: 'zabbix', config: { zabbix_server: address, host } }])

/** Waits until these values are there, and checks that nothing else is. */
async function assertStored(zabbix: Zabbix, expected: readonly string[]): Promise<void> {
  let found: string[] = []
  await until(
    `${expected.length} values to be in the database`,
    async () => {
      found = (await zabbix.stored()).map(rowOf)
      return found.length >= expected.length
    },
    120_000,
  )
  assert.deepEqual(found.sort(), [...expected].sort())
}

describe('a real Zabbix', needsZabbix, () => {
  let zabbix: Zabbix
  let end: (() => Promise<unknown>) | undefined
  /** All that was sent to it. */
  const events: object[] = []
  before(async () => {
    zabbix = await startZabbix((stop) => {
      end = stop
    })
  })
  after(() => end?.())
  const settingsOf = () => ({
    SPOOL_DIR: join(freshFolder(), 'spool'),
    INTEGRATIONS_CONFIG: listFor(zabbix),
  })
  const post = async (url: string, more: readonly object[]) => {
    events.push(...more)
    assert.equal((await postEvents(url, more, ':batch')).status, 200)
  }

  test('has every value once, in items that discovery made of the template', async (t) => {
    const settings = settingsOf()
    const checked = await wafermon(['config', 'check', '--role', 'sidecar', '--connect'], settings)
    assert.match(checked.out, /sink zabbix \(zabbix\): ready/)
    const sidecar = await startRole(t, 'sidecar', settings)
    await post(sidecar.url, eventsOf(200))
    await assertStored(zabbix, rowsOf(events))
    const items = (await zabbix.api('item.get', { output: ['key_'] })) as object[]
    // Of each app: six kinds of events and one metric, of jobs and of subjobs.
    assert.equal(items.length, apps.length * 14)
  })

  test('has what it took just before it was killed', async (t) => {
    const sidecar = await startRole(t, 'sidecar', settingsOf())
    await post(sidecar.url, eventsOf(250))
    await until(
      'the sink to be through',
      async () => (await healthOf(sidecar.url))?.lag_events === 0,
    )
    await zabbix.kill()
    await post(sidecar.url, eventsOf(250))
    await until('it to be missed', async () => (await healthOf(sidecar.url))?.reason !== undefined)
    await zabbix.serve()
    await assertStored(zabbix, rowsOf(events))
  })

  test('has every value once when the sidecar is killed while it sends', async (t) => {
    const settings = settingsOf()
    const killed = await startRole(t, 'sidecar', settings)
    const known = (await zabbix.stored()).length
    await post(killed.url, eventsOf(500))
    await until('some of them to be there', async () => (await zabbix.stored()).length > known)
    await killed.kill9()
    await startRole(t, 'sidecar', settings)
    await assertStored(zabbix, rowsOf(events))
  })
})

type Health = { sinks: Record<string, { lag_events: number; reason?: string }> }
const healthOf = async (url: string) =>
  ((await (await fetch(`${url}/v1/healthz`)).json()) as Health).sinks.zabbix
