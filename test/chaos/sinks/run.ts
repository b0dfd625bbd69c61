import { Command } from 'commander'
import { chooseFaults } from '../choose.ts'
import { Dice } from '../random.ts'
import { columns } from './columns.ts'
import { judge, type Reject, Rejects, type Result } from './judge.ts'
import { Load, newTally, type Tally } from './load.ts'
import { type Row, toRows } from './rows.ts'
import type { Seen } from './seen.ts'
import { type Account, type Gap, Site } from './site.ts'
import { type Outcome, toTable } from './table.ts'

/*
 * Every sink against everything that can go wrong with it, its disk, its destination and the way there: at the end
 * its reader has each event once, or a reject names why not, or a gap says so.
 */

type Options = { events: number; seed: number; only?: string }

/** A gate proves nothing about faults that it leaves out. */
const isCi = process.env.CI !== undefined && process.env.CI !== ''

async function main(options: Options): Promise<void> {
  const ends: (() => unknown)[] = []
  try {
    await runMatrix(options, { after: (end) => void ends.push(end) })
  } finally {
    for (const end of ends.reverse()) await end()
  }
}

async function runMatrix(
  { events, seed, only }: Options,
  t: { after(end: () => unknown): void },
): Promise<void> {
  say(`seed ${seed}: ${events} events`)
  const sinks = chooseFaults(columns, undefined, isCi)
  const site = await Site.start(t, sinks.possible)
  const { possible, missing } = chooseFaults(toRows(site), only, isCi)
  const load = new Load(() => site.url, new Dice(seed))
  const rejects = new Rejects()
  const outcomes: Outcome[] = []
  for (const row of possible) {
    const share = Math.ceil(events / possible.length)
    const outcome = await runRow(row, { t, site, load, share, rejects })
    say(`${outcome.seconds.toFixed(1).padStart(6)} s  ${row.name}${complaintsOf(outcome)}`)
    outcomes.push(outcome)
  }
  for (const { name, missing: why } of [...sinks.missing, ...missing])
    say(`left out: ${name}: ${why}`)
  await site.running.stop()
  const { code, said } = await site.verify()
  if (code !== 0) fail(`spool verify: ${said}`)
  const sent = outcomes.reduce((sum, one) => sum + one.sent, 0)
  say(`\n${toTable(site, outcomes)}\n\n${sent} events, seed ${seed}`)
  if (outcomes.some((outcome) => complaintsOf(outcome) !== '')) process.exitCode = 1
}

type Work = {
  t: { after(end: () => unknown): void }
  site: Site
  load: Load
  share: number
  rejects: Rejects
}

async function runRow(row: Row, { t, site, load, share, rejects }: Work): Promise<Outcome> {
  const begin = performance.now()
  const tally = newTally()
  const before = await site.accounts()
  const known = new Set(row.skips ? site.readGaps().map(({ id }) => id) : [])
  const cells = site.cells.filter((cell) => row.appliesTo(cell))
  try {
    await row.run({
      ...{ t, site, cells },
      send: (part, bytes) => load.send(Math.ceil(share * part), tally, bytes),
      sendEvents: (count, bytes) => load.send(count, tally, bytes),
    })
    await site.settle()
  } catch (cause) {
    throw new Error(`${row.name}: ${(cause as Error).message}`, { cause })
  }
  const gaps = row.skips ? site.readGaps().filter(({ id }) => !known.has(id)) : []
  const found = { gaps, rejects: await rejects.readNew(site) }
  const results = await judgeAll(row, site, { tally, before, ...found })
  const hit = cells.map(({ column }) => column.name)
  const seconds = (performance.now() - begin) / 1000
  return { name: row.name, sent: tally.acknowledged.size, seconds, hit, results }
}

async function judgeAll(
  row: Row,
  site: Site,
  given: {
    tally: Tally
    before: Record<string, Account>
    rejects: readonly Reject[]
    gaps: readonly Gap[]
  },
): Promise<Map<string, Result>> {
  const after = await site.accounts()
  const stamps = new Map<string, Seen>()
  const how = { restarted: row.restarts ?? false }
  const first = await site.cells[0]?.part.read(given.tally.acknowledged, how)
  for (const seen of first ?? []) stamps.set(seen.key, seen)
  const results = new Map<string, Result>()
  for (const cell of site.cells) {
    const { name } = cell.column
    const accounts = { before: must(given.before[name]), after: must(after[name]) }
    results.set(name, await judge(row, cell, { ...given, ...accounts, stamps }))
  }
  return results
}

function must<T>(value: T | undefined): T {
  if (value === undefined) throw new Error('health has lost a sink')
  return value
}

const complaintsOf = ({ results }: Outcome) =>
  [...results]
    .filter(([, { wrong }]) => wrong.length > 0)
    .map(([name, { wrong }]) => `\n         ${name}: ${wrong.slice(0, 5).join('; ')}`)
    .join('')

function fail(text: string): void {
  process.exitCode = 1
  say(text)
}

const say = (text: string) => void process.stdout.write(`${text}\n`)

await new Command('npm run chaos:sinks --')
  .description('Sets every fault on every sink, and asks their readers for each event.')
  .option('--events <n>', 'in all', Number, 60_000)
  .option('--seed <n>', 'repeats the choices of another run', Number, Date.now() % 1_000_000)
  .option('--only <words>', 'only faults with these words in their name')
  .action((options: Options) => main(options))
  .parseAsync()
