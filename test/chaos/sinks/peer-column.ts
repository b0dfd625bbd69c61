import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { freePort } from '../../support/processes.ts'
import type { After, Column, Counterpart } from './column.ts'
import type { PeerFault, Tell, Told } from './peer-state.ts'
import { readLines, type Seen, type SentByKey } from './seen.ts'

type PeerColumn = Omit<Column, 'open'> & {
  /** File of its program in peers/. */
  peer: string
  /** Given to that program. */
  options?: object
  /** Settings of the entry. */
  config(url: string): object
  /** What the protocol has no words for. */
  without?: readonly PeerFault[]
  /** What its reader makes of the journal, if that is not its lines. */
  toReader?(journal: string): PeerReader
}

/** Reads the journal of a peer as its reader does. `complaints`: what it finds wrong by the way. */
export type PeerReader = {
  read(sent: SentByKey, how: { restarted: boolean }): Seen[]
  complaints(): string[]
}

const faults: readonly PeerFault[] = [
  ...(['500', '429', '413', 'half', 'garbage', 'lost answer', 'silence', 'reset', 'slow'] as const),
]

/** A column whose events go to a process of its own. */
export const peerColumn = (given: PeerColumn): Column => ({
  ...given,
  open: (t, dir) => openPeer(t, dir, given),
})

const readPlainly = (journal: string): PeerReader => ({
  read: () => readLines(journal),
  complaints: () => [],
})

async function openPeer(
  t: After,
  dir: string,
  { peer, options = {}, config, without = [], toReader = readPlainly }: PeerColumn,
): Promise<Counterpart> {
  const port = await freePort()
  const [journal, complaints] = [join(dir, 'journal'), join(dir, 'complaints')]
  const program = fileURLToPath(new URL(`peers/${peer}`, import.meta.url))
  const args = [program, `${port}`, journal, complaints, JSON.stringify(options)]
  let child: ChildProcess
  const start = async () => {
    child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', ...args], {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    })
    await heard(child)
  }
  const kill = async () => {
    if (child.exitCode !== null || child.signalCode !== null) return
    const ended = once(child, 'exit')
    child.kill('SIGKILL')
    await ended
  }
  const ask = async (said: Tell): Promise<Told> => {
    const answer = heard(child)
    child.send(said)
    return answer
  }
  await start()
  t.after(kill)
  const reader = toReader(journal)
  return {
    config: config(`http://127.0.0.1:${port}`),
    faults: faults.filter((fault) => !without.includes(fault)),
    tell: async (fault) => void (await ask({ fault: fault ?? null })),
    hits: async () => (await ask({})).hits,
    life: { kill, start, diesLater: false },
    ...{ die: kill, revive: start },
    read: async (sent, how) => reader.read(sent, how),
    complaints: () => [
      ...(existsSync(complaints) ? readFileSync(complaints, 'utf8').trimEnd().split('\n') : []),
      ...reader.complaints(),
    ],
  }
}

/** What a peer says next. @throws Error when it ends instead */
async function heard(child: ChildProcess): Promise<Told> {
  const aborted = new AbortController()
  const { signal } = aborted
  try {
    const ended = once(child, 'exit', { signal }).then(([code]) => {
      throw new Error(`a peer ended with ${code}`)
    })
    const [said] = await Promise.race([once(child, 'message', { signal }), ended])
    return said as Told
  } finally {
    aborted.abort()
  }
}
