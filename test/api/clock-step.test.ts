import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { describe, type TestContext, test } from 'node:test'
import { ingestRoutes } from '../../src/api/ingest.ts'
import type { Event } from '../../src/core/event.ts'
import { must } from '../../src/core/must.ts'
import { fromMs } from '../../src/core/time.ts'
import { clock } from '../../src/platform/clock.ts'
import { Metrics } from '../../src/platform/metrics.ts'
import { RecentCounts } from '../../src/platform/recent-counts.ts'
import { anyone } from '../support/callers.ts'
import { smallLimits as limits } from '../support/door-limits.ts'

/** A door in a process whose clock the test sets; what it lets in is kept. */
async function startDoor(t: TestContext) {
  const taken: Event[] = []
  const accept = async (items: readonly { event: Event }[]) => {
    taken.push(...items.map(({ event }) => event))
    return items.map(() => 'stored' as const)
  }
  const [one] = ingestRoutes({
    accept,
    metrics: new Metrics(),
    recent: new RecentCounts(),
    limits,
  })
  const take = must(one?.bare, 'the route of one event is bare')
  const server = createServer((request, response) => {
    void take(request, anyone).then((said) => response.end(JSON.stringify(said)))
  })
  t.after(() => server.close())
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const { port } = server.address() as AddressInfo
  const send = async (at: string): Promise<Event['event']> => {
    const body = {
      idempotency_key: randomUUID(),
      site_id: 'fab1',
      app: { app_id: randomUUID(), name: 'etch', version: '1' },
      entity: { type: 'job', id: randomUUID() },
      event: { kind: 'started', at },
    }
    const headers = { 'content-type': 'application/json' }
    await fetch(`http://127.0.0.1:${port}/`, {
      ...{ method: 'POST', headers, body: JSON.stringify(body) },
    })
    return must(taken.at(-1), 'the event was taken').event
  }
  return { send }
}

describe('a step of the clock while a door is open', () => {
  test('by 20 minutes: a right time is not corrected, and a wrong one is', async (t) => {
    const { send } = await startDoor(t)
    const wallMs = Date.UTC(2026, 2, 1, 12)
    let stepMs = 0
    const monotonicMs = () => 5000
    t.after(clock.use({ wallMs: () => wallMs + stepMs, monotonicMs, uptimeMs: monotonicMs }))
    const noon = fromMs(wallMs)
    assert.deepEqual(await send(noon), { kind: 'started', at: noon })
    stepMs = 20 * 60_000
    const later = fromMs(wallMs + stepMs)
    assert.deepEqual(await send(later), { kind: 'started', at: later })
    stepMs = 0
    assert.deepEqual(await send(later), { kind: 'started', at: noon, reported_at: later })
  })
})
