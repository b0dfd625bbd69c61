import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, type TestContext, test } from 'node:test'
import { send, startHttpPeer } from '../sinks/http-peer.ts'
import { sinksByName } from '../support/integrations.ts'
import { freshFolder, type Running, startRole, until } from '../support/processes.ts'
import { postEvents, startOfJob } from '../support/wire-events.ts'

/* SIGHUP: a real sidecar reads its sinks again while events come in. */

type Health = { status: string; configuration_refused?: { problems: string[] }; faults?: string[] }
const healthOf = async (url: string) => (await (await fetch(`${url}/v1/healthz`)).json()) as Health

/** A receiver that notes every event it takes, each after a while. */
async function startReceiver(t: TestContext) {
  const keys: string[] = []
  const peer = await startHttpPeer(t, async ({ body }, response) => {
    const { events } = JSON.parse(body) as { events: { idempotency_key: string }[] }
    await new Promise((done) => setTimeout(done, 30))
    keys.push(...events.map((one) => one.idempotency_key))
    send(response, 200)
  })
  return { url: peer.url, keys }
}

/** A sidecar whose list is a file, and programs that send until they are told to stop. */
async function underLoad(t: TestContext, list: readonly object[]) {
  const dir = freshFolder()
  const file = join(dir, 'sinks.json')
  const write = (entries: readonly object[] | string) =>
    writeFileSync(file, typeof entries === 'string' ? entries : JSON.stringify(entries))
  write(list)
  const env = { SPOOL_DIR: join(dir, 'spool'), INTEGRATIONS_CONFIG: file, DRAIN_INTERVAL_S: '0.1' }
  const sidecar = await startRole(t, 'sidecar', env)
  const answered: string[] = []
  let isOver = false
  const program = async (to: Running) => {
    while (!isOver) {
      const events = Array.from({ length: 5 }, () => startOfJob())
      const { status } = await postEvents(to.url, events, ':batch').catch(() => ({ status: 0 }))
      if (status !== 200) return
      answered.push(...events.map((one) => one.idempotency_key))
      await new Promise((done) => setTimeout(done, 5))
    }
  }
  let running = [program(sidecar), program(sidecar)]
  const more = (to: Running) => {
    running = [program(to), program(to)]
  }
  const stop = async () => {
    isOver = true
    await Promise.all(running)
  }
  t.after(stop)
  return { dir, env, write, sidecar, answered, more, stop }
}

const reread = async (sidecar: Running, says: RegExp) => {
  const before = sidecar.logs().length
  process.kill(sidecar.pid, 'SIGHUP')
  await until(`the log to say ${says}`, () => says.test(sidecar.logs().slice(before)))
}

const hook = (name: string, url: string, more = {}) => ({
  ...{ type: 'webhook', name, batch_size: 10, ...more },
  config: { webhook_url: url, batch: true },
})

const sorted = (keys: readonly string[]) => [...keys].sort()

describe('a sidecar that is sent SIGHUP', () => {
  test('begins new sinks, replaces changed ones, keeps what others are owed; each event once', async (t) => {
    const [stays, changes, comes] = [
      await startReceiver(t),
      await startReceiver(t),
      await startReceiver(t),
    ]
    const dir = freshFolder()
    const csv = { type: 'csv', name: 'csv', config: { output_dir: dir } }
    const first = [hook('stays', stays.url), hook('changes', changes.url), csv]
    const site = await underLoad(t, first)
    const { sidecar } = site
    await until('events to be on their way', () => changes.keys.length > 50)
    site.write([
      hook('stays', stays.url),
      hook('changes', changes.url, { batch_size: 7 }),
      hook('comes', comes.url),
      { ...csv, filter: { kind: ['started'] } },
    ])
    await reread(sidecar, /sinks read again/)
    await until('the new one to take events', () => comes.keys.length > 20)
    site.write([hook('stays', stays.url), hook('changes', changes.url), csv])
    await reread(sidecar, /sinks read again/)
    const gone = await sinksByName(sidecar.url)
    assert.deepEqual([gone.comes?.state, gone.comes?.type], ['detached', null])
    const kept = comes.keys.length
    await until('events to wait for it', async () => {
      const { comes: detached } = await sinksByName(sidecar.url)
      return detached!.lag_events > 20
    })
    assert.equal(comes.keys.length, kept)
    site.write([
      hook('stays', stays.url),
      hook('changes', changes.url),
      hook('comes', comes.url),
      csv,
    ])
    await reread(sidecar, /sinks read again/)
    await site.stop()
    await until('all to be delivered', async () =>
      Object.values(await sinksByName(sidecar.url)).every(({ lag_events }) => lag_events === 0),
    )
    const files = readdirSync(dir).filter((name) => name.endsWith('.csv') && !name.startsWith('.'))
    const rows = files.flatMap((name) => readFileSync(join(dir, name), 'utf8').split('\r\n'))
    const written = rows
      .flatMap((row) => row.split(',')[1] ?? [])
      .filter((key) => key !== 'idempotency_key')
    for (const keys of [stays.keys, changes.keys, written]) {
      assert.deepEqual(sorted(keys), sorted(site.answered))
    }
    // It began with the oldest event that some sink was owed.
    assert.equal(new Set(comes.keys).size, comes.keys.length)
    const late = new Set(site.answered.slice(-kept))
    assert.ok([...late].every((key) => comes.keys.includes(key)))
    const { status } = await healthOf(sidecar.url)
    assert.equal(status, 'ok')
  })

  test('does not let one that hangs hold up the others', async (t) => {
    const [changes, comes] = [await startReceiver(t), await startReceiver(t)]
    const order: string[] = []
    const answers: (() => void)[] = []
    const hangs = await startHttpPeer(t, (_, response) => {
      response.on('close', () => order.push('the one that hangs has ended'))
      answers.push(() => send(response, 200))
    })
    const long = { webhook_url: hangs.url, batch: true, timeout: 600 }
    const list = (size: number) => [
      hook('changes', changes.url, { batch_size: size }),
      { type: 'webhook', name: 'hangs', batch_size: size, config: long },
      ...(size === 10 ? [] : [hook('comes', comes.url)]),
    ]
    const site = await underLoad(t, list(10))
    await until('one to hang', () => answers.length > 0 && changes.keys.length > 50)
    site.write(list(7))
    process.kill(site.sidecar.pid, 'SIGHUP')
    await until('a new one to take events', () => comes.keys.length > 0)
    const taken = changes.keys.length
    await until('one that changed to take events', () => changes.keys.length > taken + 20)
    order.push('the others have new events')
    for (const answer of answers) answer()
    await until('all to be read', () => /sinks read again"/.test(site.sidecar.logs()))
    assert.deepEqual(order.slice(0, 2), [
      'the others have new events',
      'the one that hangs has ended',
    ])
    const line =
      site.sidecar
        .logs()
        .split('\n')
        .find((one) => /sinks read again"/.test(one)) ?? ''
    assert.deepEqual(JSON.parse(line).replaced, ['changes', 'hangs'])
    await until('the one that hung to be asked again', () => answers.length > 1)
    await site.stop()
    assert.deepEqual(JSON.parse(line).added, ['comes'])
  })

  test('replaces a sink when a file that its entry names has changed, and no other', async (t) => {
    const dir = freshFolder()
    const [path, ca, said] = ['own.mjs', 'ca.pem', 'said'].map((name) => join(dir, name))
    const writeModule = (word: string) =>
      writeFileSync(
        path!,
        `import { appendFileSync } from 'node:fs'
export const open = () => ({
  deliver(batch) {
    appendFileSync(${JSON.stringify(said)}, '${word} '.repeat(batch.length))
    return { kind: 'judged', verdicts: batch.map(() => 'taken') }
  },
})
`,
      )
    const readSaid = () => (existsSync(said!) ? readFileSync(said!, 'utf8') : '')
    writeModule('old')
    writeFileSync(ca!, 'the certificate before')
    const receiver = await startReceiver(t)
    const withCa = hook('ca', receiver.url)
    const site = await underLoad(t, [
      { type: 'module', name: 'own', config: { path } },
      { ...withCa, config: { ...withCa.config, ca } },
      hook('stays', receiver.url),
    ])
    const reload = async () => {
      const before = site.sidecar.logs().length
      await reread(site.sidecar, /sinks read again"/)
      const line = site.sidecar
        .logs()
        .slice(before)
        .split('\n')
        .find((one) => /read again/.test(one))
      return JSON.parse(line ?? '').replaced
    }
    await until('the module to take events', () => readSaid().includes('old'))
    assert.deepEqual(await reload(), [])
    writeModule('new')
    assert.deepEqual(await reload(), ['own'])
    await until('the new module to take events', () => readSaid().includes('new'))
    assert.match(readSaid(), /^(old )+(new )+$/)
    writeFileSync(ca!, 'the certificate that follows')
    assert.deepEqual(await reload(), ['ca'])
    await site.stop()
  })

  test('keeps the sinks before when the list is wrong, and says why until it is right', async (t) => {
    const receiver = await startReceiver(t)
    const site = await underLoad(t, [hook('hook', receiver.url)])
    const { sidecar } = site
    for (const [wrong, says] of [
      ['[{"type": "web', /is not JSON/],
      [
        JSON.stringify([{ type: 'csv', name: 'a', config: {} }]),
        /sink a: output_dir: must be text/,
      ],
      ['[]', /has no entry/],
    ] as const) {
      site.write(wrong)
      await reread(sidecar, /refused, those before stay in force/)
      const { status, configuration_refused, faults } = await healthOf(sidecar.url)
      assert.equal(status, 'degraded')
      assert.match(String(configuration_refused?.problems), says)
      assert.match(String(faults), says)
      const { hook: sink, ...others } = await sinksByName(sidecar.url)
      assert.deepEqual([sink?.type, others], ['webhook', {}])
    }
    const taken = receiver.keys.length
    await until('it to be delivered to all the while', () => receiver.keys.length > taken + 20)
    site.write([hook('hook', receiver.url)])
    await reread(sidecar, /sinks read again"/)
    assert.equal((await healthOf(sidecar.url)).configuration_refused, undefined)
    await site.stop()
    await until('all to be delivered', () => receiver.keys.length >= site.answered.length)
    assert.deepEqual(sorted(receiver.keys), sorted(site.answered))
  })

  test('and is killed right after it loses no event, for no sink', async (t) => {
    const [stays, comes] = [await startReceiver(t), await startReceiver(t)]
    const site = await underLoad(t, [hook('stays', stays.url)])
    await until('events to be on their way', () => stays.keys.length > 50)
    let { sidecar } = site
    let marked = 0
    for (let i = 0; i < 4; i++) {
      site.write([
        hook('stays', stays.url, { batch_size: 5 + i }),
        ...(i % 2 === 0 ? [hook('comes', comes.url)] : []),
      ])
      process.kill(sidecar.pid, 'SIGHUP')
      await new Promise((done) => setTimeout(done, 40 * i))
      await sidecar.kill9()
      sidecar = await startRole(t, 'sidecar', site.env)
      // From its first start on it has a position, in the list or not.
      if (i === 0) marked = site.answered.length
      site.more(sidecar)
      const n = stays.keys.length
      await until('it to deliver again', () => stays.keys.length > n + 20)
    }
    site.write([hook('stays', stays.url), hook('comes', comes.url)])
    await reread(sidecar, /sinks read again/)
    await site.stop()
    await until('all to be delivered', async () =>
      Object.values(await sinksByName(sidecar.url)).every(({ lag_events }) => lag_events === 0),
    )
    const lost = (keys: readonly string[], from: number) => {
      const had = new Set(keys)
      return site.answered.slice(from).filter((key) => !had.has(key))
    }
    assert.deepEqual(lost(stays.keys, 0), [])
    assert.deepEqual(lost(comes.keys, marked), [])
  })
})
