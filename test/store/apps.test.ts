import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { comparePlaces } from '../../src/core/list-order.ts'
import { must } from '../../src/core/must.ts'
import { appsQuestion } from '../../src/core/questions/apps.ts'
import { fromMs } from '../../src/core/time.ts'
import { escapeLike, findAppNames, listApps } from '../../src/store/apps.ts'
import { ingest } from '../../src/store/ingest.ts'
import { anEvent, openStore, run } from '../support/store.ts'

const { signal } = new AbortController()
const now = () => fromMs(Date.now())

const of = (name: string, site = 'fab1', appId: string = crypto.randomUUID(), version = '1') =>
  anEvent(now(), {}, { site_id: site, app: { app_id: appId, name, version } })

describe('apps', () => {
  test('are one by site and name, whatever ids their runs made up, with the latest', async (t) => {
    const { store } = await openStore(t, 'plain')
    await ingest(store, [of('etch'), of('etch', 'fab2'), of('cmp')])
    // Known for less than a minute, a row is left alone.
    await run(store, `update app set last_seen_at = now() - interval '2 minutes'`)
    const latest = of('etch', 'fab1', crypto.randomUUID(), '2')
    await ingest(store, [latest])
    const { items: apps } = await listApps(store, {}, signal)
    assert.deepEqual(
      apps.map(({ siteId, name, version }) => [siteId, name, version]),
      [
        ['fab1', 'cmp', '1'],
        ['fab1', 'etch', '2'],
        ['fab2', 'etch', '1'],
      ],
    )
    assert.equal(apps[1]?.appId, latest.app.app_id)
    assert.ok(apps[1]!.firstSeenAt < apps[1]!.lastSeenAt)
  })

  test('come in pages when they are many, by name and then site, and none is left out', async (t) => {
    const { store } = await openStore(t, 'plain')
    await run(
      store,
      `insert into app (site_id, name, app_id, version)
       select site, 'Ä' || n % 5500 || chr(128512 + n % 3), gen_random_uuid(), ''
       from generate_series(1, 5500) n, unnest(array['fab1', 'Fab2']) site`,
    )
    const first = await listApps(store, {}, signal)
    assert.equal(first.items.length, 10_000)
    const second = await listApps(store, {}, signal, must(first.next, 'others follow'))
    assert.deepEqual([second.items.length, second.next], [1000, null])
    const places = [...first.items, ...second.items].map(({ name, siteId }) => [name, siteId])
    assert.equal(new Set(places.map(String)).size, 11_000)
    const order = must(appsQuestion.order, 'it comes in pages')
    assert.deepEqual(
      places,
      places.toSorted((a, b) => comparePlaces(order, a, b)),
    )
    assert.equal((await listApps(store, { site: 'Fab2' }, signal)).items.length, 5500)
  })

  test('are found by any part of their name, in any case, taken literally', async (t) => {
    const { store } = await openStore(t, 'plain')
    const names = ['Etch', 'etch_2', 'etchX2', '100%', 'a\\b', 'é']
    await ingest(
      store,
      names.map((name) => of(name)),
    )
    await ingest(store, [of('etch_2', 'fab2')])
    const find = (text: string, site?: string) => findAppNames(store, text, site, signal)
    assert.deepEqual((await find('ETCH')).sort(), ['Etch', 'etchX2', 'etch_2'])
    assert.deepEqual(await find('h_2'), ['etch_2'])
    assert.deepEqual(await find('%'), ['100%'])
    assert.deepEqual(await find('\\'), ['a\\b'])
    assert.deepEqual(await find('etch', 'fab2'), ['etch_2'])
    assert.deepEqual(await find('etch', 'fab3'), [])
  })

  test('are searched by literal text, without wildcards', () => {
    assert.equal(escapeLike('50%_\\x'), '50\\%\\_\\\\x')
  })
})
