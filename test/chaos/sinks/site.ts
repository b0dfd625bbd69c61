import { execFileSync } from 'node:child_process'
import { cpSync, existsSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import {
  freePort,
  freshFolder,
  launch,
  type Running,
  startRole,
  until,
} from '../../support/processes.ts'
import type { After, Column, Counterpart } from './column.ts'

export type Cell = { column: Column; part: Counterpart }

/** What health says of a sink. */
export type Account = {
  lag_events: number
  retrying?: number
  accepted: number
  delivered: number
  filtered: number
  rejected: number
  skipped: number
  failures: number
  reason?: string
}

/** Numbers of events that a sink did without, both included. */
export type Gap = { id: number; sink: string; from: number; to: number }

/** How long everything may take to arrive once all is well again. */
const settleMs = 300_000

const diskMib = 256

/** A sidecar with every sink of the matrix, on a small disk of its own where that can be mounted. */
export class Site {
  readonly cells: readonly Cell[]
  readonly spoolDir: string
  /** Where its disk is mounted; undefined without the right to mount one. */
  readonly disk: string | undefined
  readonly #t: After
  readonly #env: Record<string, string>
  #running: Running | undefined

  private constructor(t: After, cells: readonly Cell[], port: number) {
    this.#t = t
    this.cells = cells
    const folder = freshFolder()
    this.disk = mountDisk(t, folder)
    this.spoolDir = join(folder, 'spool')
    mkdirSync(this.spoolDir, { mode: 0o700 })
    const entries = cells.map(({ column: { name, type }, part: { config } }) => {
      return { name, type, config }
    })
    this.#env = {
      ...Object.assign({}, ...cells.map(({ column }) => column.env ?? {})),
      PORT: `${port}`,
      SPOOL_DIR: this.spoolDir,
      INTEGRATIONS_CONFIG: JSON.stringify(entries),
      LOG_LEVEL: 'error',
      DRAIN_INTERVAL_S: '0.2',
    }
  }

  static async start(t: After, columns: readonly Column[]): Promise<Site> {
    const cells = await Promise.all(
      columns.map(async (column) => ({ column, part: await column.open(t, freshFolder()) })),
    )
    const site = new Site(t, cells, await freePort())
    await site.start()
    return site
  }

  get running(): Running {
    if (!this.#running) throw new Error('the sidecar is not running')
    return this.#running
  }

  get url(): string {
    return this.running.url
  }

  async start(env: Record<string, string> = {}): Promise<void> {
    this.#running = await startRole(this.#t, 'sidecar', { ...this.#env, ...env })
  }

  async accounts(): Promise<Record<string, Account>> {
    const answer = await fetch(`${this.url}/v1/healthz`)
    return ((await answer.json()) as { sinks: Record<string, Account> }).sinks
  }

  async account(name: string): Promise<Account> {
    const found = (await this.accounts())[name]
    if (!found) throw new Error(`health has no sink ${name}`)
    return found
  }

  /** Until every sink has dealt with every event. */
  async settle(): Promise<void> {
    let last: Record<string, Account> = {}
    await until(
      'every sink to have dealt with every event',
      async () => {
        last = await this.accounts()
        return Object.values(last).every((one) => one.lag_events === 0 && !one.retrying)
      },
      settleMs,
    ).catch((error: Error) => {
      throw new Error(`${error.message}: ${JSON.stringify(last)}`)
    })
  }

  /** All that sinks did without so far; health has the last of each. From a copy: the sidecar holds the lock. */
  readGaps(): Gap[] {
    const copy = freshFolder()
    for (const name of ['spool.db', 'spool.db-wal']) {
      if (existsSync(join(this.spoolDir, name))) cpSync(join(this.spoolDir, name), join(copy, name))
    }
    const db = new Database(join(copy, 'spool.db'))
    try {
      return db
        .prepare('select id, sink, from_seq as "from", to_seq as "to" from gap')
        .all() as Gap[]
    } finally {
      db.close()
    }
  }

  /** What `wafermon spool verify` says of the stopped spool; its exit code is 0 when everything adds up. */
  async verify(): Promise<{ code: number | null; said: string }> {
    const verifying = launch(['spool', 'verify', '--dir', this.spoolDir], {})
    const { code } = await verifying.ended
    return { code, said: verifying.logs() }
  }
}

function mountDisk(t: After, folder: string): string | undefined {
  if (process.getuid?.() !== 0) return undefined
  execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${diskMib}m`, 'tmpfs', folder])
  t.after(() => execFileSync('umount', ['-l', folder]))
  return folder
}
