import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { fileURLToPath } from 'node:url'
import { Spool } from '../../src/spool/spool.ts'
import type { SpoolOptions } from '../../src/spool/spool-options.ts'
import { freshFolder, until } from './processes.ts'
import type { ChildOptions } from './spool-child.ts'

const script = fileURLToPath(new URL('spool-child.ts', import.meta.url))

/** A line of the journal of a sink: the event, its number in the spool, and the one in its stamp. */
export type Taken = { n: number; seq: number; stamp: number }

export type Journals = {
  dir: string
  /** Events that were answered for. */
  answered: () => number[]
  /** How many were refused at the door. */
  refused: () => number
  taken: (sink: string) => Taken[]
}

export type Killed = Journals & {
  /** The spool that the kills left, opened again. */
  spool: Spool
}

/**
 * Runs a spool in a process of its own and kills it (kill -9), several times over.
 *
 * @param kills how often
 * @param answers events that are answered for before each kill, at least
 * @param isDue what else is waited for before each kill
 */
export async function killSpool(
  t: TestContext,
  options: Omit<ChildOptions, 'dir' | 'from'>,
  { kills = 2, answers = 150, isDue = () => true, dir = freshFolder() } = {} as {
    kills?: number
    answers?: number
    isDue?: (journals: Journals) => boolean
    dir?: string
  },
): Promise<Killed> {
  const journals = readJournals(dir)
  for (let kill = 0; kill < kills; kill++) {
    const before = journals.answered().length
    const from = Math.max(0, ...numbers(dir, 'asked'))
    const child = spawn(
      process.execPath,
      ['--import', 'tsx', script, JSON.stringify({ ...options, dir, from })],
      { stdio: ['ignore', 'pipe', 'inherit'] },
    )
    t.after(() => child.kill('SIGKILL'))
    const gone = once(child, 'exit')
    await until(
      'enough answers',
      () => {
        assert.equal(child.exitCode, null, 'the child works')
        const some = journals.answered().length - before
        return some >= answers + 37 * kill && isDue(journals)
      },
      120_000,
    )
    child.kill('SIGKILL')
    await gone
  }
  return { ...journals, spool: reopen(t, dir, options) }
}

/** The spool of a folder, with the same sinks. */
export function reopen(
  t: TestContext,
  dir: string,
  { sinks, maxBytes }: Pick<SpoolOptions, 'sinks' | 'maxBytes'>,
): Spool {
  const spool = new Spool({ dir, sinks, maxBytes, ballastBytes: 4096 })
  t.after(() => spool.close())
  return spool
}

function readJournals(dir: string): Journals {
  return {
    dir,
    answered: () => numbers(dir, 'answered'),
    refused: () => numbers(dir, 'refused').reduce((sum, one) => sum + one, 0),
    taken: (sink) =>
      lines(dir, sink).map((line) => {
        const [n, seq, stamp] = line.split(' ').map(Number)
        return { n: n!, seq: seq!, stamp: stamp! }
      }),
  }
}

const lines = (dir: string, name: string): string[] => {
  const path = join(dir, `journal-${name}`)
  return existsSync(path) ? readFileSync(path, 'utf8').split('\n').slice(0, -1) : []
}

const numbers = (dir: string, name: string): number[] => lines(dir, name).map(Number)

/** All events that a sink is still owed, as they are sent. */
export function owed(spool: Spool, sink: string): { n: number; seq: number }[] {
  const all = spool.peek(sink, 1_000_000, 2 ** 32)
  return all.map(({ body, seq }) => ({ n: (JSON.parse(body) as { n: number }).n, seq }))
}
