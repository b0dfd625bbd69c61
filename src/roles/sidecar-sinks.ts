import { isDeepStrictEqual } from 'node:util'
import { type Logger, pino } from 'pino'
import { ConfigError } from '../core/errors.ts'
import { must } from '../core/must.ts'
import { sleep } from '../platform/backoff.ts'
import type { SinkEntry } from '../sinks/entry.ts'
import { hashFiles } from '../sinks/entry-files.ts'
import { type OpenSink, openSink } from '../sinks/index.ts'
import { readEntries } from '../sinks/read-entries.ts'
import type { Drain } from '../spool/drain.ts'
import type { NamedPlan } from '../spool/plans.ts'
import type { SidecarConfig } from './settings.ts'
import { type LoopOptions, SinkLoops } from './sidecar-loops.ts'

type SinksConfig = Pick<
  SidecarConfig,
  'INTEGRATIONS_CONFIG' | 'LOCAL_API_BASE' | 'LOCAL_API_TOKEN' | 'REQUEST_TIMEOUT_S'
>

/** The entries of the sinks that a sidecar is configured for: those of its list, or the local API alone. */
export const listEntries = (config: SinksConfig): readonly SinkEntry[] =>
  config.INTEGRATIONS_CONFIG ?? defaultEntries(config)

/** The local API of the site, from the settings of the sidecar. */
function defaultEntries(config: SinksConfig): readonly SinkEntry[] {
  const entry = {
    type: 'local_api',
    name: 'local-api',
    config: {
      base_url: config.LOCAL_API_BASE,
      token: config.LOCAL_API_TOKEN,
      timeout: config.REQUEST_TIMEOUT_S,
    },
  }
  return must(readEntries([entry], {}).value, 'the settings of the sidecar were checked')
}

const isEnabled = ({ enabled }: SinkEntry) => enabled

/** What the spool has to know of them. */
export const toPlans = (entries: readonly SinkEntry[]): NamedPlan[] =>
  entries.map(({ name, type, enabled, required = true, from }) => ({
    ...{ name, type, enabled, required, from },
  }))

/** What another configuration changed, by the names of sinks. */
export type SinkChanges = { added: string[]; replaced: string[]; removed: string[] }

/** An entry, with the content of the files that it names. */
type Wanted = { entry: SinkEntry; files: Record<string, string> }
type Opened = Wanted & { sink: OpenSink }
type Member = Opened & { loops: SinkLoops }

const toWanted = (entry: SinkEntry): Wanted => ({ entry, files: hashFiles(entry) })

const isSame = (a: Wanted, b: Wanted) => isDeepStrictEqual([a.entry, a.files], [b.entry, b.files])

/** One that was told to end, and has not in {@link quickMs}. */
type Slow = { member: Member; ended: Promise<void> }

/** How long the new sinks of a list wait for all others to end. */
const quickMs = 1000

/** A sink waits for one before it that it takes the place of, or whose folder it takes. */
const takesPlaceOf = ({ entry }: Wanted, { member }: Slow) =>
  entry.name === member.entry.name ||
  (entry.config.output_dir !== undefined &&
    entry.config.output_dir === member.entry.config.output_dir)

/** The sinks that a sidecar delivers to, each with what runs for it. */
export class SidecarSinks {
  readonly #options: LoopOptions
  #members: Member[] = []
  /** One change at a time. */
  #turn: Promise<unknown> = Promise.resolve()

  constructor(options: LoopOptions) {
    this.#options = options
    const { life } = options.context
    const all = (act: (one: Member) => unknown) => async () => {
      await this.#turn
      await Promise.all(this.#members.map(act))
    }
    // The last is the first.
    life.onStop(
      'sinks',
      all(({ sink }) => sink.close?.()),
    )
    life.onStop(
      'heartbeats',
      all(({ loops }) => loops.sayGoodbye()),
    )
    life.onStop(
      'drains',
      all(({ loops }) => loops.drained),
    )
  }

  get drains(): Drain[] {
    return this.#members.map(({ loops }) => loops.drain)
  }

  /** Opens the sinks of a configuration, and delivers to them until the role stops. */
  async start(entries: readonly SinkEntry[]): Promise<void> {
    this.#begin(await this.#openAll(entries.filter(isEnabled).map(toWanted)))
  }

  /**
   * Takes another configuration: new sinks begin, those that changed, or the files that they name, are replaced, those
   * that are gone end. The others notice nothing, and wait for none that hangs at its end.
   *
   * @throws when a sink cannot be opened; then all is as it was. Of one whose place was held by a sink that hung only
   *   that is as it was, which the error says
   */
  replace(entries: readonly SinkEntry[]): Promise<SinkChanges> {
    const changes = this.#turn.then(() => this.#replace(entries))
    this.#turn = changes.catch(() => {})
    return changes
  }

  async #replace(all: readonly SinkEntry[]): Promise<SinkChanges> {
    const next = all.filter(isEnabled).map(toWanted)
    const before = this.#members
    const leaving = before.filter((member) => !next.some((one) => isSame(one, member)))
    const coming = next.filter((one) => !before.some((member) => isSame(one, member)))
    const slow = await this.#endSoon(leaving)
    const late = coming.filter((one) => slow.some((other) => takesPlaceOf(one, other)))
    const quick = coming.filter((one) => !late.includes(one))
    try {
      await this.#take(quick, withPlans(all, slow))
    } catch (error) {
      await this.#restore(leaving.filter((one) => !slow.some(({ member }) => member === one)))
      await this.#restoreSlow(slow)
      throw error
    }
    if (slow.length > 0) await this.#takeLate(late, all, slow)
    const gone = leaving.map(({ entry }) => entry.name)
    const come = coming.map(({ entry }) => entry.name)
    return {
      added: come.filter((name) => !gone.includes(name)),
      replaced: come.filter((name) => gone.includes(name)),
      removed: gone.filter((name) => !come.includes(name)),
    }
  }

  /** Opens them and begins, all or none. */
  async #take(coming: readonly Wanted[], all: readonly SinkEntry[]): Promise<void> {
    const opened = await this.#openAll(coming)
    try {
      this.#options.spool.accounts.configure(toPlans(all))
    } catch (error) {
      await closeAll(opened)
      throw error
    }
    this.#begin(opened)
  }

  /** Those that wait for one that hangs; everything else has the new list by then. */
  async #takeLate(late: readonly Wanted[], all: readonly SinkEntry[], slow: readonly Slow[]) {
    await Promise.all(slow.map(({ ended }) => ended))
    try {
      await this.#take(late, all)
    } catch (error) {
      await this.#restoreSlow(slow)
      const names = slow.map(({ member }) => member.entry.name).join(', ')
      const text = `${(error as Error).message}; as before: ${names}, all others as in the new list`
      throw new ConfigError(text, [text])
    }
  }

  async #restoreSlow(slow: readonly Slow[]): Promise<void> {
    await Promise.all(slow.map(({ ended }) => ended))
    await this.#restore(slow.map(({ member }) => member))
  }

  /** Sinks that worked a moment ago. Without them nothing would be delivered, so their failure ends the role. */
  async #restore(before: readonly Wanted[]): Promise<void> {
    const { config, context } = this.#options
    try {
      this.#begin(await this.#openAll(before))
    } catch (error) {
      context.log.fatal({ error }, 'the sinks before cannot be opened again, ending')
      process.exitCode = 1
      void context.life.stop(config.SHUTDOWN_TIMEOUT_S)
    }
  }

  /** Ends them all at the same time. @returns those that take longer than a moment */
  async #endSoon(leaving: readonly Member[]): Promise<Slow[]> {
    const underWay = new Set(leaving)
    const ending = leaving.map((member) => ({
      member,
      ended: this.#end(member).finally(() => underWay.delete(member)),
    }))
    const enough = new AbortController()
    const all = Promise.all(ending.map(({ ended }) => ended)).then(() => enough.abort())
    await Promise.race([all, sleep(quickMs, enough.signal)])
    return ending.filter(({ member }) => underWay.has(member))
  }

  /** Also when it fails at its end: what it was owed is still in the spool. */
  async #end(member: Member): Promise<void> {
    const { log } = this.#options.context
    try {
      await member.loops.end()
      await member.sink.close?.()
    } catch (error) {
      log.warn({ error, sink: member.entry.name }, 'a sink failed while it was closed')
    } finally {
      this.#members = this.#members.filter((one) => one !== member)
    }
  }

  /** All of them, or none. */
  async #openAll(wanted: readonly Wanted[]): Promise<Opened[]> {
    const opened: Opened[] = []
    try {
      for (const one of wanted) opened.push({ ...one, sink: await this.#open(one.entry) })
      return opened
    } catch (error) {
      await closeAll(opened)
      throw error
    }
  }

  #open(entry: SinkEntry): Promise<OpenSink> {
    const { spool, context } = this.#options
    const log = context.log.child({ sink: entry.name })
    return openSink(entry, { log, state: spool.accounts.state(entry.name) })
  }

  #begin(opened: readonly Opened[]): void {
    const begun = opened.map((one) => ({ ...one, loops: new SinkLoops(one.sink, this.#options) }))
    this.#members = [...this.#members, ...begun]
  }
}

const closeAll = (opened: readonly Opened[]) =>
  Promise.allSettled(opened.map(({ sink }) => sink.close?.()))

/** The list, in which those that have not ended are as they were: they may still acknowledge events. */
function withPlans(all: readonly SinkEntry[], slow: readonly Slow[]): readonly SinkEntry[] {
  const kept = slow.map(({ member }) => member.entry)
  return [...all.filter(({ name }) => !kept.some((one) => one.name === name)), ...kept]
}

/** What a sink says when it is asked without an event. */
export type Probed = { name: string; type: string; problem: string | null }

/** Asks every sink of a sidecar whether it could deliver. Nothing is sent, and no spool is opened. */
export function probeSinks(config: SidecarConfig): Promise<Probed[]> {
  const log = pino({ level: 'silent' })
  return Promise.all(
    listEntries(config)
      .filter(isEnabled)
      .map(async (entry) => {
        const { name, type } = entry
        const problem = await probeSink(entry, log).catch((error: Error) => error.message)
        return { name, type, problem: problem ?? null }
      }),
  )
}

async function probeSink(entry: SinkEntry, log: Logger): Promise<string | undefined> {
  const sink = await openSink(entry, { log })
  try {
    return await sink.probe?.(AbortSignal.timeout(probeTimeoutMs))
  } finally {
    await sink.close?.()
  }
}

const probeTimeoutMs = 10_000
