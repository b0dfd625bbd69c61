import { setTimeout as wait } from 'node:timers/promises'
import { Command } from 'commander'
import { startTestServer } from '../support/own-server.ts'
import { assertAllTaken } from '../support/site.ts'
import { chooseFaults } from './choose.ts'
import { Client, encodings, type Tally } from './clients.ts'
import { type Fault, toFaults } from './faults.ts'
import { Dice } from './random.ts'
import { judge, type Verdict } from './verdict.ts'
import { startWorld, type World } from './world.ts'

type Options = { seconds: number; clients: number; seed: number; hands: number; only?: string }

/** A gate proves nothing about faults that it leaves out. */
const isCi = process.env.CI !== undefined && process.env.CI !== ''

/** How long everything may take to arrive once all is well again. */
const settleMs = 60_000

async function main(options: Options): Promise<void> {
  const ends: (() => unknown)[] = []
  try {
    await chaos(options, { after: (end) => void ends.push(end) })
  } finally {
    for (const end of ends.reverse()) await end()
  }
}

async function chaos(options: Options, t: { after(end: () => unknown): void }): Promise<void> {
  const { seconds, seed } = options
  say(`seed ${seed}: ${options.clients} programs for ${seconds} s`)
  const server = await startTestServer()
  t.after(() => server.stop())
  process.env.TEST_DATABASE_URL = server.url
  const world = await startWorld(t)
  const dice = new Dice(seed)
  const tally: Tally = {
    made: new Map(),
    acknowledged: new Map(),
    refusals: new Map(),
    refusedForGood: [],
  }
  const urls = world.sidecars.map(({ url }) => url)
  const clients = Array.from(
    { length: options.clients },
    (_, number) => new Client({ dice: dice.fork(), number, urls, tally }),
  )
  const sending = Promise.all(clients.map((client) => client.run()))
  const counts = await inflict(world, dice, options)
  for (const client of clients) client.end()
  say('all is well again; what waits is sent')
  try {
    await deadline(sending, 'the programs to have everything acknowledged', clients)
    for (const { role } of world.sidecars) await assertAllTaken({ sidecar: role.running })
  } catch (error) {
    process.exitCode = 1
    say(`FAILED: ${(error as Error).message}`)
    await showHealth(world)
  }
  report(counts, tally, await judge(world, tally))
}

async function showHealth({ sidecars, apis }: World): Promise<void> {
  for (const { name, running } of [...sidecars.map(({ role }) => role), ...apis]) {
    const answer = await fetch(`${running.url}/v1/healthz`).catch((error: Error) => error)
    say(`${name}: ${answer instanceof Error ? answer.message : await answer.text()}`)
    say(running.logs().split('\n').slice(-5).join('\n'))
  }
}

async function deadline(work: Promise<unknown>, what: string, clients: Client[]): Promise<void> {
  const late = wait(settleMs, undefined, { ref: false }).then(() => {
    const waiting = clients.reduce((sum, client) => sum + client.waiting, 0)
    throw new Error(`waited ${settleMs / 1000} s in vain for ${what}: ${waiting} events wait`)
  })
  await Promise.race([work, late])
}

type Counts = Map<string, number | string>

/** Breaks things, a few at a time, until the time is over. */
async function inflict(world: World, dice: Dice, options: Options): Promise<Counts> {
  const { possible, missing } = chooseFaults(toFaults(world), options.only, isCi)
  const counts: Counts = new Map(
    [...possible, ...missing].map((fault) => [fault.name, fault.missing ?? 0]),
  )
  const end = performance.now() + options.seconds * 1000
  const hand = async (own: Dice) => {
    while (performance.now() < end) {
      const fault = own.pick(possible)
      await inflictOne(fault, world, own)
      counts.set(fault.name, Number(counts.get(fault.name)) + 1)
      await wait(own.whole(50, 600))
    }
  }
  await Promise.all(Array.from({ length: options.hands }, () => hand(dice.fork())))
  return counts
}

async function inflictOne(fault: Fault, world: World, dice: Dice): Promise<void> {
  try {
    await fault.run(world, dice)
  } catch (cause) {
    throw new Error(`${fault.name}: ${(cause as Error).message}`, { cause })
  }
}

function report(counts: Counts, tally: Tally, verdict: Verdict): void {
  const rows = (pairs: Iterable<readonly [string, unknown]>) =>
    [...pairs].map(([name, value]) => `| ${name} | ${value} |`).join('\n')
  say(`
| Broken | Times |
|---|--:|
${rows(counts)}

| Answered instead of taken | Times |
|---|--:|
${rows([...tally.refusals].sort(([, a], [, b]) => b - a))}

| Result | |
|---|--:|
| encodings | ${encodings.length} |
| jobs | ${verdict.jobs} |
| events acknowledged | ${verdict.acknowledged} |
| lost | ${verdict.lost.length} |
| doubled | ${verdict.doubled.length} |
| jobs with a wrong state | ${verdict.wrong.length} |
| refused permanently though nothing is wrong with them | ${tally.refusedForGood.length} |
`)
  const unnamed = [...tally.refusals.keys()].filter((name) => /WITHOUT|NOT JSON/.test(name))
  const bad = { ...verdict, refusedForGood: tally.refusedForGood, unnamed }
  for (const name of ['lost', 'doubled', 'wrong', 'refusedForGood', 'unnamed'] as const) {
    if (bad[name].length === 0) continue
    process.exitCode = 1
    say(`${name}: ${bad[name].slice(0, 10).join(', ')}`)
  }
}

const say = (text: string) => void process.stdout.write(`${text}\n`)

await new Command('npm run chaos --')
  .description('Breaks a site of real processes at random, and counts what was lost or doubled.')
  .option('--seconds <n>', 'how long things are broken', Number, 600)
  .option('--clients <n>', 'programs that report', Number, 30)
  .option('--hands <n>', 'faults at the same time', Number, 3)
  .option('--seed <n>', 'repeats the choices of another run', Number, Date.now() % 1_000_000)
  .option('--only <words>', 'only faults with these words in their name')
  .action((options: Options) => main(options))
  .parseAsync()
