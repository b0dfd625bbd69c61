import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import type { Event } from '../../src/core/event.ts'
import { arbitraryEvent } from '../support/histories.ts'
import { expectedRows } from '../support/oracle.ts'
import { ask, assertAllTaken, countStored, type Site, startSite } from '../support/site.ts'
import { plain, storedRows } from '../support/stored-rows.ts'
import { runs } from '../support/wild.ts'

/*
 * Programs whose clocks are wrong, whose events come in any order and now and then twice, on the
 * whole way: what the local API shows is what the rules make of the events as they were stored.
 */

const second = 1000
const hour = 3600 * second
/** How far off a sender's clock is, in milliseconds. */
const clocks = [0, 0, 0, 90 * second, -90 * second, hour, -hour, 9 * 60 * second, 11 * 60 * second]
/** Clocks that are not set at all. */
const wild = ['2038-01-19T03:14:07Z', '9999-12-31T23:59:59.999999Z', '1970-01-01T00:00:00Z']

type Wire = Record<string, never> & { idempotency_key: string; event: { at: string } }

/** Events of a shift that ends now, as their senders' clocks have them. */
function skewed(events: Event[], seed: number): Wire[] {
  const now = Date.now()
  return events.map((event, i) => {
    const { received_at, ...rest } = event
    const noon = Date.parse('2026-03-01T12:00:00Z')
    const shift = (at: string) => {
      const us = at.slice(23)
      const ms =
        Date.parse(`${at.slice(0, 23)}Z`) - noon + now + clocks[(seed + i) % clocks.length]!
      return new Date(ms).toISOString().replace('Z', us)
    }
    const at = (seed + i) % 17 === 0 ? wild[i % wild.length]! : shift(event.event.at)
    const { started_at, ended_at } = event.event
    const times = {
      at,
      ...(started_at ? { started_at: shift(started_at) } : {}),
      ...(ended_at ? { ended_at: shift(ended_at) } : {}),
    }
    return { ...rest, event: { ...event.event, ...times } } as unknown as Wire
  })
}

async function send({ sidecar }: Site, batch: Wire[]): Promise<number> {
  const body = JSON.stringify(batch)
  const answer = await fetch(`${sidecar.url}/v1/ingest/events:batch`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body,
  })
  const said = (await answer.json()) as { failed: number; duplicates: number; rejected: unknown }
  assert.equal(said.failed, 0, JSON.stringify(said.rejected))
  return said.duplicates
}

/** The events as the local API keeps them, each once. */
async function storedBy({ api }: Site, ids: Iterable<string>): Promise<Event[]> {
  const found: Event[] = []
  for (const id of ids) {
    const answer = await fetch(`${api.url}/v1/jobs/${id}/events?limit=10000`)
    assert.equal(answer.status, 200)
    found.push(...((await answer.json()) as { items: Event[] }).items)
  }
  return found
}

const maxSkewMs = 600 * second

/** The time of the sender is kept, unless it is far ahead of the clock of the sidecar. */
function assertClock(sent: Wire, stored: Event): void {
  const ahead = Date.parse(sent.event.at) - Date.parse(stored.received_at)
  const { at, reported_at } = stored.event
  const said = new Date(sent.event.at).getTime()
  if (ahead <= maxSkewMs) assert.equal(Date.parse(at), said)
  else {
    assert.equal(at, stored.received_at)
    assert.equal(Date.parse(reported_at!), said)
  }
}

describe('events from wrong clocks, in any order, some of them twice', () => {
  test('end in the rows that the rules make of them', async (t) => {
    const site = await startSite(t)
    const history = fc.uniqueArray(arbitraryEvent(30), {
      minLength: 200,
      maxLength: 400,
      size: 'max',
      selector: (event) => event.idempotency_key,
    })
    await fc.assert(
      fc.asyncProperty(
        history,
        fc.nat(1000),
        fc.infiniteStream(fc.nat()),
        async (all, seed, dice) => {
          await ask(site.store, 'truncate event, event_late, job, subjob, clock_correction')
          const events = skewed(all, seed)
          const order = [...events, ...events.filter((_, i) => i % 100 === seed % 100)]
            .map((event) => ({ event, place: dice.next().value ?? 0 }))
            .sort((a, b) => a.place - b.place)
            .map(({ event }) => event)
          let duplicates = 0
          for (let i = 0; i < order.length; i += 50) {
            duplicates += await send(site, order.slice(i, i + 50))
          }
          assert.equal(duplicates, order.length - events.length)
          await assertAllTaken(site)
          assert.equal(await countStored(site.store), events.length)
          const rows = await storedRows(site.store)
          const stored = await storedBy(site, new Set([...rows.values()].map(({ id }) => id)))
          const bySent = new Map(events.map((event) => [event.idempotency_key, event]))
          for (const event of stored) assertClock(bySent.get(event.idempotency_key)!, event)
          assert.deepEqual(plain(rows), plain(expectedRows(stored)))
        },
      ),
      { numRuns: runs(3), endOnFailure: true },
    )
  })
})
