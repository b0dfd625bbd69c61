import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { fromMs } from '../../src/core/time.ts'
import { withClock } from '../support/database-clock.ts'
import { launch, startRole, until } from '../support/processes.ts'
import { openStore, readHorizon, run } from '../support/store.ts'

type Health = { status: string; maintenance: { last_run_at: string | null; stopped?: string } }

async function horizon(url: string, ...flags: string[]) {
  const tool = launch(['db', 'horizon', ...flags], { DATABASE_URL: url })
  const { code } = await tool.ended
  return { code, out: tool.out(), err: tool.err() }
}

describe('wafermon db horizon', () => {
  test('shows a doubt with code 1, and --set ends it and puts the horizon back', async (t) => {
    const { store, url } = await openStore(t, 'plain')
    await run(
      store,
      `update horizon set frozen_before = now() + interval '10 days', doubt = 'the clock was set'`,
    )
    const shown = await horizon(url)
    assert.equal(shown.code, 1, shown.err)
    assert.match(shown.out, /^nearest source {2}none has delivered$/m)
    assert.match(shown.out, /^time {12}in doubt: the clock was set$/m)
    const { frozenBefore } = await readHorizon(store)
    assert.ok(shown.out.includes(frozenBefore))

    const set = await horizon(url, '--set', '--json')
    assert.equal(set.code, 0, set.err)
    const said = JSON.parse(set.out)
    assert.equal(said.doubt, null)
    assert.ok(said.frozen_before < fromMs(Date.now() - 47 * 3_600_000))
    assert.equal((await readHorizon(store)).frozenBefore, said.frozen_before)
  })

  test('and health say why maintenance stopped; --set needs two clocks that agree', async (t) => {
    const { url, setAhead } = await withClock(t)
    await setAhead('100 days')
    const api = await startRole(t, 'local-api', { DATABASE_URL: url })
    const health = await until('a first round', async () => {
      const said = (await (await fetch(`${api.url}/v1/healthz`)).json()) as Health
      return said.maintenance.last_run_at !== null && said
    })
    assert.equal(health.status, 'degraded')
    assert.match(
      health.maintenance.stopped ?? '',
      /^the database's clock says .*, the clock of this mach/,
    )

    const set = await horizon(url, '--set')
    assert.equal(set.code, 1)
    assert.match(set.err, /^wafermon db horizon: nothing was set: the database's clock says /)
    assert.equal((await horizon(url)).code, 1)
  })
})
