import { appendFileSync, openSync, writeSync } from 'node:fs'
import type { Server } from 'node:net'
import { readLines, type Seen, toLines } from './seen.ts'

/*
 * A counterpart of a sink, as a process of its own. It commits what it takes to a file before it answers, and so it
 * has it when it was killed; and it does wrong when it is told to. It ends with the process that started it.
 *
 *   node PEER.ts PORT JOURNAL COMPLAINTS OPTIONS
 */

/** What a peer that is not killed can do wrong. */
export type PeerFault =
  | '500'
  | '429'
  | '413'
  | 'half'
  | 'garbage'
  | 'lost answer'
  | 'silence'
  | 'reset'
  /** Not wrong: the answer comes late, so that a kill hits between commit and answer. */
  | 'slow'

/** Told to a peer; it answers with {@link Told}. */
export type Tell = { fault?: PeerFault | null }
/** `hits`: requests on which it did wrong since it was told to. */
export type Told = { hits: number }

/** What it was told to do wrong, and what it has. */
export class PeerState {
  fault: PeerFault | undefined
  /** How often it did wrong since it was told to. */
  hits = 0
  /** How often it was told. */
  told = 0
  readonly #complaints: string
  readonly #journal: number
  readonly #known: Set<string>

  constructor(journal: string, complaints: string) {
    this.#complaints = complaints
    this.#known = new Set(readLines(journal).map(({ id }) => id))
    this.#journal = openSync(journal, 'a')
  }

  tell({ fault }: Tell): Told {
    if (fault !== undefined) {
      this.fault = fault ?? undefined
      this.hits = 0
      this.told++
    }
    return { hits: this.hits }
  }

  knows(id: string): boolean {
    return this.#known.has(id)
  }

  commit(events: readonly Seen[]): void {
    writeSync(this.#journal, toLines(events))
    for (const { id } of events) this.#known.add(id)
  }

  complain(text: string): void {
    appendFileSync(this.#complaints, `${text}\n`)
  }
}

/** What a peer is given besides what it keeps. `journal`: a file beside it may have more. */
export type PeerGiven<Options> = { options: Options; journal: string }

/** Serves until the parent process is gone. */
export function startPeer<Options>(
  open: (state: PeerState, given: PeerGiven<Options>) => Server,
): void {
  const [port, journal = '', complaints = '', options = '{}'] = process.argv.slice(2)
  const state = new PeerState(journal, complaints)
  process.on('message', (said: Tell) => process.send?.(state.tell(said)))
  process.once('disconnect', () => process.exit())
  const server = open(state, { options: JSON.parse(options) as Options, journal })
  server.listen(Number(port), '127.0.0.1', () => process.send?.({ hits: 0 } satisfies Told))
}
