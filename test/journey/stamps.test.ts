import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ask, assertAllTaken, startSite } from '../support/site.ts'
import { postEvents, startOfJob } from '../support/wire-events.ts'

/*
 * Roles without tokens, as they are started first: a local API believes the stamps of every caller who
 * reaches it, because it cannot tell a sidecar from another program, and without them a sidecar's repeats and
 * gaps would not be known.
 */

type Stamped = {
  event: { at: string; reported_at?: string }
  source: { id: string; epoch: string; seq: number }
  received_at: string
}

test('without tokens a sidecar is known by its stamps, which are bounded like any', async (t) => {
  const site = await startSite(t)
  const sent = startOfJob()
  assert.equal((await postEvents(site.sidecar.url, sent)).status, 200)
  await assertAllTaken(site)
  const eventsOf = async (id: string) => {
    const answer = await fetch(`${site.api.url}/v1/jobs/${id}/events`)
    return ((await answer.json()) as { items: [Stamped] }).items
  }
  const [stored] = await eventsOf(sent.entity.id)
  assert.equal(stored.source.seq, 1)

  // Days later neither the raw event nor its job is there.
  await ask(
    site.store,
    `truncate event, event_late, job;
     update horizon set frozen_before = now(), dropped_before = now(), jobs_from = now()`,
  )
  const isRepeat = async (event: object) => {
    const answer = await postEvents(site.api.url, event)
    return ((await answer.json()) as { duplicate: boolean }).duplicate
  }
  assert.equal(await isRepeat(stored), true, 'known by its number')
  const { source, received_at, ...unstamped } = stored
  assert.equal(await isRepeat(unstamped), false, `not known without ${JSON.stringify(source)}`)

  const far = { ...startOfJob(), source: { ...source, seq: 2 }, received_at }
  far.event.at = '9999-12-31T23:59:59Z'
  assert.equal((await postEvents(site.api.url, far)).status, 200)
  const [bounded] = await eventsOf(far.entity.id)
  assert.equal(bounded.event.reported_at, '9999-12-31T23:59:59.000000Z')
  assert.ok(bounded.event.at < '2100', bounded.event.at)
})
