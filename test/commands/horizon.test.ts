import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { fromMs } from '../../src/core/time.ts'
import { launch } from '../support/processes.ts'
import { openStore, readHorizon, run } from '../support/store.ts'

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
})
