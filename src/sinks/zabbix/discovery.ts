import type { Logger } from 'pino'
import type { Trapper } from './trapper.ts'

/*
 * Which apps and metrics there are, told to the discovery rules of the host, which make the items. A list is
 * sent when it grows, and every hour, because Zabbix deletes items that it has not heard of for long.
 */

/** Largest list, in rows: each makes several items. */
const maxRows = 1000

const refreshMs = 3_600_000
const retryMs = 60_000

/** What the rows of the lists are made of. */
type Seen = { app: string; site: string; metrics: readonly string[] }

type List = {
  key: string
  rows: Map<string, Readonly<Record<string, string>>>
  /** By performance.now(). */
  dueMs: number
  saidFull: boolean
}

export class Discovery {
  readonly #trapper: Trapper
  readonly #log: Logger
  /** The keys tell sites apart, and so the lists have to. */
  readonly #hasSite: boolean
  readonly #apps = makeList('wafer.discovery')
  readonly #metrics = makeList('wafer.discovery.metrics')

  constructor(trapper: Trapper, { log, hasSite }: { log: Logger; hasSite: boolean }) {
    this.#trapper = trapper
    this.#log = log
    this.#hasSite = hasSite
  }

  note({ app, site, metrics }: Seen): void {
    const row = { '{#APP}': app, '{#SITE}': site }
    const name = JSON.stringify(this.#hasSite ? [app, site] : [app])
    this.#add(this.#apps, name, row)
    for (const metric of metrics) {
      this.#add(this.#metrics, `${name} ${metric}`, { ...row, '{#METRIC}': metric })
    }
  }

  /** Sends the lists that are due. @throws PeerError */
  async announce(signal: AbortSignal): Promise<void> {
    for (const list of [this.#apps, this.#metrics]) {
      if (list.rows.size > 0 && performance.now() >= list.dueMs) await this.#send(list, signal)
    }
  }

  /** Sends the list of apps, due or not. @returns false when the host does not have the rule */
  prove(signal: AbortSignal): Promise<boolean> {
    return this.#send(this.#apps, signal)
  }

  #add(list: List, name: string, row: Readonly<Record<string, string>>): void {
    if (list.rows.has(name)) return
    if (list.rows.size >= maxRows) {
      if (!list.saidFull) {
        this.#log.warn({ key: list.key, rows: maxRows }, 'a list of discovery is full')
      }
      list.saidFull = true
      return
    }
    list.rows.set(name, row)
    list.dueMs = 0
  }

  async #send(list: List, signal: AbortSignal): Promise<boolean> {
    const { size } = list.rows
    const isTaken = await this.#trapper.sendList(list.key, [...list.rows.values()], signal)
    const hasGrown = list.rows.size > size
    list.dueMs = hasGrown ? 0 : performance.now() + (isTaken ? refreshMs : retryMs)
    const remedy = 'link the template of deploy/zabbix to the host, or make the items by hand'
    if (!isTaken) {
      this.#log.warn({ key: list.key, remedy }, 'a rule of discovery is unknown to Zabbix')
    }
    return isTaken
  }
}

const makeList = (key: string): List => ({ key, rows: new Map(), dueMs: 0, saidFull: false })
