import assert from 'node:assert/strict'
import { join } from 'node:path'
import { describe, type TestContext, test } from 'node:test'
import { makeToken } from '../../src/tools/token.ts'
import { send, startHttpPeer } from '../sinks/http-peer.ts'
import { sinksByName } from '../support/integrations.ts'
import { freshFolder, startRole, until } from '../support/processes.ts'
import { lines, wafermon } from '../support/run.ts'
import { postEvents, startOfJob } from '../support/wire-events.ts'

/* What an operator does to the sinks of a sidecar that runs, and of one that is stopped. */

type Entry = { type: string; name: string; enabled?: boolean; config: object }
type Item = { seq: number; owed: string[]; event?: { entity: { business_key: string } } }
type Verified = { odd: string[] }
type Gap = { from: number; to: number; events: number; reason: string }

/** A receiver that takes or refuses what it is sent, a job's key a request. */
async function startReceiver(t: TestContext) {
  const receiver = { url: '', keys: [] as string[], status: 200 }
  const peer = await startHttpPeer(t, ({ body }, response) => {
    if (receiver.status === 200) receiver.keys.push(JSON.parse(body).entity.business_key)
    send(response, receiver.status)
  })
  receiver.url = peer.url
  return receiver
}

const hook = (name: string, url: string, more = {}): Entry => ({
  ...{ type: 'webhook', name, ...more },
  config: { webhook_url: url },
})

const start = (t: TestContext, dir: string, list: readonly Entry[], env = {}) =>
  startRole(t, 'sidecar', {
    ...{ SPOOL_DIR: dir, INTEGRATIONS_CONFIG: JSON.stringify(list), DRAIN_INTERVAL_S: '0.1' },
    ...env,
  })

async function sendKeys(url: string, keys: readonly string[]): Promise<void> {
  const batch = keys.map((business_key) =>
    startOfJob({ entity: { type: 'job', id: crypto.randomUUID(), business_key } }),
  )
  assert.equal((await postEvents(url, batch, ':batch')).status, 200)
}

const spool = (...args: string[]) => wafermon(['spool', ...args])

async function json<T>(...args: string[]): Promise<T> {
  const { code, out, err } = await spool(...args, '--json')
  assert.deepEqual([code, err], [0, ''], args.join(' '))
  return JSON.parse(out) as T
}

const lagOf = (url: string, name: string, lag: number) =>
  until(`${name} to be owed ${lag}`, async () => (await sinksByName(url))[name]?.lag_events === lag)

describe('wafermon spool sinks', () => {
  test('pauses one, also over a restart, and offers all of it once it is resumed', async (t) => {
    const [dir, a, b] = [freshFolder(), await startReceiver(t), await startReceiver(t)]
    const list = [hook('a', a.url), hook('b', b.url)]
    const first = await start(t, dir, list)
    await sendKeys(first.url, ['L1'])
    await lagOf(first.url, 'a', 0)
    const at = ['--url', first.url]
    const without = await spool('sinks', 'pause', 'a', ...at)
    assert.deepEqual([without.code, without.err.includes('--reason')], [2, true])
    const nobody = await spool('sinks', 'pause', 'x', '--reason', 'repair', ...at)
    assert.deepEqual([nobody.code, nobody.err], [1, 'there is no sink x\n'])
    const paused = await spool('sinks', 'pause', 'a', '--reason', 'receiver in repair', ...at)
    assert.deepEqual(paused, { code: 0, out: 'paused: a\n', err: '' })
    await sendKeys(first.url, ['L2', 'L3'])
    await until('the other to have all', () => new Set(b.keys).size === 3)
    await first.kill9()

    const { url } = await start(t, dir, list)
    await sendKeys(url, ['L4'])
    await until('the other to have all', () => new Set(b.keys).size === 4)
    const { a: held } = await sinksByName(url)
    assert.deepEqual([held?.state, held?.lag_events, a.keys], ['stopped', 3, ['L1']])
    assert.match(String(held?.last_error), /^paused by an operator since .*\(receiver in repair\)/)
    const listed = await spool('sinks', '--url', url)
    assert.match(listed.out, /^SINK +KIND +STATE .*\na +webhook +stopped +yes +3 /)
    const health = (await (await fetch(`${url}/v1/healthz`)).json()) as { faults: string[] }
    assert.match(health.faults.join(), /a: paused by an operator/)
    assert.deepEqual(await json('sinks', 'resume', 'a', '--url', url), {
      ...{ sink: 'a', did: 'resume', ok: true },
    })
    await until('it to have all', () => a.keys.length === 4)
    assert.deepEqual(a.keys, ['L1', 'L2', 'L3', 'L4'])
    assert.equal((await json<Verified>('verify', '--url', url)).odd.length, 0)
  })

  test('skips what one is owed: a gap with the reason, and every event accounted for', async (t) => {
    const [dir, a, b] = [freshFolder(), await startReceiver(t), await startReceiver(t)]
    a.status = 500
    const sidecar = await start(t, dir, [hook('a', a.url), hook('b', b.url)])
    const at = ['--url', sidecar.url]
    await sendKeys(sidecar.url, ['L1', 'L2', 'L3', 'L4'])
    await lagOf(sidecar.url, 'b', 0)
    const events = lines((await spool('ls', '--json', '--sink', 'a', ...at)).out) as Item[]
    assert.deepEqual(
      events.map(({ seq, owed }) => [seq, owed]),
      [1, 2, 3, 4].map((seq) => [seq, ['a']]),
    )
    assert.match(
      (await spool('ls', '--limit', '1', ...at)).out,
      /^SEQ .*\n1 +20\S+Z +started +job +L1 /,
    )
    const one = await json<Item>('show', '2', ...at)
    assert.deepEqual([one.event?.entity.business_key, one.owed], ['L2', ['a']])
    const none = await spool('show', '9', ...at)
    assert.deepEqual([none.code, none.err], [1, 'no event 9 is in the spool\n'])
    const copy = lines((await spool('export', '--up-to', '3', ...at)).out) as Item[]
    assert.deepEqual(
      copy.map(({ event }) => event?.entity.business_key),
      ['L1', 'L2', 'L3'],
    )
    const far = await spool('sinks', 'skip', 'a', '--reason', 'x', '--up-to', '5', ...at)
    assert.deepEqual([far.code, far.err], [1, 'up_to: the last event has the number 4; got 5\n'])
    const skip = ['sinks', 'skip', 'a', '--reason', 'bad recipe', '--up-to', '3', ...at]
    assert.deepEqual((await spool(...skip)).out, 'skipped: a (3 events)\n')
    assert.equal((await json<{ skipped: number }>(...skip)).skipped, 0)
    const status = await json<{ sinks: Record<string, { last_gap: Gap }> }>(
      ...['status', '--sink', 'a', ...at],
    )
    assert.deepEqual(Object.keys(status.sinks), ['a'])
    const gap = status.sinks.a?.last_gap
    assert.deepEqual([gap?.from, gap?.to, gap?.events, gap?.reason], [1, 3, 3, 'bad recipe'])
    a.status = 200
    await until('the rest', () => a.keys.length === 1)
    assert.deepEqual(a.keys, ['L4'])
    const metrics = await (await fetch(`${sidecar.url}/metrics`)).text()
    assert.ok(metrics.includes('wafermon_sink_skipped_events_total{sink="a"} 3'), metrics)
    assert.deepEqual((await json<Verified>('verify', ...at)).odd, [])
    await lagOf(sidecar.url, 'a', 0)
    await sidecar.stop()
    const whole = await json<Verified & { gaps: number }>('verify', '--dir', dir)
    assert.deepEqual([whole.odd, whole.gaps], [[], 1])
  })

  test('forgets one that is disabled or gone, and none that is at work', async (t) => {
    const [dir, a, b] = [freshFolder(), await startReceiver(t), await startReceiver(t)]
    b.status = 500
    const list = [hook('a', a.url), hook('b', b.url), hook('c', b.url)]
    const first = await start(t, dir, list)
    await sendKeys(first.url, ['L1', 'L2'])
    await lagOf(first.url, 'a', 0)
    const refused = await spool('sinks', 'forget', 'b', '--url', first.url)
    assert.equal(refused.code, 1)
    assert.match(refused.err, /^the sink b is configured; take it out of the configuration first/)
    await first.stop()
    const { url } = await start(t, dir, [hook('a', a.url), hook('b', b.url, { enabled: false })])
    const { b: disabled, c: detached } = await sinksByName(url)
    assert.deepEqual([disabled?.state, disabled?.lag_events], ['disabled', 2])
    assert.deepEqual([detached?.state, detached?.lag_events], ['detached', 2])
    for (const name of ['b', 'c']) {
      const { code, out } = await spool('sinks', 'forget', name, '--url', url)
      assert.deepEqual([code, out], [0, `forgotten: ${name}\n`])
    }
    const { b: left, c: gone } = await sinksByName(url)
    assert.deepEqual([left?.state, left?.lag_events, gone], ['disabled', 0, undefined])
    const again = await spool('sinks', 'forget', 'c', '--url', url)
    assert.deepEqual([again.code, again.err], [1, 'there is no sink c\n'])
    assert.equal((await json<{ spool_count: number }>('status', '--url', url)).spool_count, 0)
  })

  test('wants scope operate for every change, and read for a look', async (t) => {
    const TOKENS_FILE = join(freshFolder(), 'tokens')
    const SIDECAR_TOKEN = makeToken(TOKENS_FILE, ['read'])
    const operator = makeToken(TOKENS_FILE, ['operate'])
    const { url } = await start(t, freshFolder(), [hook('a', 'http://127.0.0.1:9')], {
      TOKENS_FILE,
    })
    const reason = ['--reason', 'test']
    for (const args of [
      ['pause', 'a', ...reason],
      ['resume', 'a'],
      ['skip', 'a', ...reason],
    ]) {
      const command = ['spool', 'sinks', ...args, '--url', url]
      const mayNot = await wafermon(command, { SIDECAR_TOKEN })
      assert.match(mayNot.err, /^this token lacks the scope operate; /, args.join(' '))
      assert.equal((await wafermon(command, { SIDECAR_TOKEN: operator })).code, 0, args.join(' '))
    }
    for (const args of [['sinks'], ['ls'], ['export']]) {
      const looked = await wafermon(['spool', ...args, '--url', url], { SIDECAR_TOKEN })
      assert.equal(looked.code, 0, looked.err)
    }
  })
})

describe('wafermon spool --dir', () => {
  test('does on a stopped one what it does on one that runs', async (t) => {
    const [dir, a, b] = [freshFolder(), await startReceiver(t), await startReceiver(t)]
    a.status = 400
    b.status = 500
    const list = [hook('a', a.url), hook('b', b.url)]
    const sidecar = await start(t, dir, list)
    await sendKeys(sidecar.url, ['L1', 'L2', 'L3'])
    await until('rejects', async () => (await sinksByName(sidecar.url)).a?.rejects === 3)
    const at = ['--dir', dir]
    const busy = await spool('sinks', ...at)
    assert.equal(busy.code, 2)
    assert.match(busy.err, /is in use by another sidecar/)
    const both = await spool('sinks', ...at, '--url', sidecar.url)
    assert.equal(both.code, 2)
    await sidecar.stop()

    const status = await json<{ running: boolean; spool_count: number }>('status', ...at)
    assert.deepEqual([status.running, status.spool_count], [false, 3])
    assert.match((await spool('sinks', ...at)).out, /\nb +stopped +yes +3 /)
    assert.equal(lines((await spool('ls', '--json', ...at)).out).length, 3)
    assert.equal((await json<Item>('show', '3', ...at)).seq, 3)
    assert.equal(lines((await spool('export', '--sink', 'b', ...at)).out).length, 3)
    const listed = (sink: string) => spool('rejects', 'list', '--json', '--sink', sink, ...at)
    assert.equal(lines((await listed('a')).out).length, 3)
    assert.equal((await listed('b')).out, '')
    const drop = ['rejects', 'drop', '--up-to', '3', ...at]
    assert.deepEqual((await spool(...drop, '--sink', 'b')).code, 1)
    assert.deepEqual(await json('rejects', 'drop', '1', ...at), { dropped: 1, missing: [] })
    const retried = await json('rejects', 'retry', '--all', '--sink', 'a', ...at)
    assert.deepEqual(retried, { retried: 2, missing: [] })
    assert.equal((await spool('sinks', 'pause', 'b', '--reason', 'x', ...at)).code, 0)
    assert.equal(
      (await spool('sinks', 'skip', 'b', '--reason', 'y', '--up-to', '1', ...at)).code,
      0,
    )
    assert.deepEqual((await json<Verified>('verify', ...at)).odd, [])

    a.status = 200
    b.status = 200
    const { url } = await start(t, dir, list)
    await until('the rejects', () => a.keys.length === 2)
    const { b: held } = await sinksByName(url)
    assert.deepEqual([held?.state, held?.skipped, b.keys], ['stopped', 1, []])
    assert.equal((await spool('sinks', 'resume', 'b', '--url', url)).code, 0)
    await until('the rest', () => b.keys.length === 2)
    assert.deepEqual(
      [a.keys, b.keys],
      [
        ['L2', 'L3'],
        ['L2', 'L3'],
      ],
    )
  })

  test('gives up a sink there, and touches no folder that has no sound spool', async (t) => {
    const [dir, a] = [freshFolder(), await startReceiver(t)]
    a.status = 500
    const sidecar = await start(t, dir, [hook('a', a.url), hook('b', a.url)])
    await sendKeys(sidecar.url, ['L1'])
    await sidecar.stop()
    assert.equal((await spool('sinks', 'forget', 'b', '--dir', dir)).out, 'forgotten: b\n')
    assert.doesNotMatch((await spool('sinks', '--dir', dir)).out, /\nb /)
    const empty = freshFolder()
    const none = await spool('sinks', '--dir', empty)
    assert.deepEqual([none.code, none.err], [2, `there is no spool in ${empty}\n`])
  })
})
