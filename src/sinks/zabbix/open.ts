import {
  type Delivery,
  type Failure,
  type Sink,
  toJudged,
  type Verdict,
} from '../../core/delivery.ts'
import { must } from '../../core/must.ts'
import { clock } from '../../platform/clock.ts'
import type { SinkContext } from '../kind.ts'
import { Discovery } from './discovery.ts'
import { PeerError } from './exchange.ts'
import { hasSite, readKeyTemplate } from './key.ts'
import { Sender } from './sender.ts'
import type { Settings } from './settings.ts'
import { Trapper } from './trapper.ts'
import { UnknownKeys } from './unknown-keys.ts'
import { type Item, isRefusal, toItem, type Value } from './value.ts'

/** How long after it took a value a host is believed to be there still. */
const maxProofMs = 10_000

export function openZabbix(settings: Settings, { log }: SinkContext): Sink {
  const { host, history_days: historyDays } = settings
  const template = must(readKeyTemplate(settings.key), 'the key was checked with the settings')
  const waitMs = settings.unknown_key_wait_s * 1000
  const trapper = new Trapper(settings)
  const sender = new Sender(trapper)
  const discovery = new Discovery(trapper, { log, hasSite: hasSite(template) })
  const unknown = new UnknownKeys(waitMs)

  /**
   * Notes the keys that were not known, and those that are. A host that is not known, or not monitored, fails for
   * every key, and that refuses no event.
   *
   * @returns the keys whose values are refused, or why there is nothing to be said about any
   */
  async function noteKeys(signal: AbortSignal): Promise<ReadonlySet<string> | Failure> {
    for (const key of sender.known) unknown.forget(key)
    if (sender.unknown.size === 0) return new Set()
    const isRecent = performance.now() - sender.acceptedMs < Math.min(maxProofMs, waitMs / 2)
    const isThere = sender.known.size > 0 || (await discovery.prove(signal)) || isRecent
    if (isThere) return new Set([...sender.unknown].filter((key) => unknown.note(key)))
    unknown.clear()
    const reason = `it knows no key of the host ${host}: check host, that the host is enabled and not in maintenance, and that the template of deploy/zabbix is linked to it`
    return { kind: 'failed', reason, permanent: true }
  }

  async function send(items: readonly Item[], signal: AbortSignal) {
    sender.begin()
    await sender.sendOwed(signal)
    await discovery.announce(signal)
    const values = items.flatMap((item) => (isRefusal(item) ? [] : item.values))
    await sender.send(
      values.filter(({ key }) => !unknown.has(key)),
      signal,
    )
    for (const group of byKey(values.filter(({ key }) => unknown.has(key)))) {
      if (unknown.isDue(group[0]?.key ?? '')) await sender.send(group, signal)
    }
    return noteKeys(signal)
  }

  return {
    async deliver(batch, signal): Promise<Delivery> {
      const nowMs = clock.nowMs()
      const items = batch.map((event) => toItem(event, { template, historyDays, nowMs }))
      for (const item of items) if (!isRefusal(item)) discovery.note(item)
      let outcome: ReadonlySet<string> | Failure
      try {
        outcome = items.some(hasValues) ? await send(items, signal) : new Set()
      } catch (error) {
        outcome = explain(error)
        sender.lost()
      }
      const failure = 'kind' in outcome ? outcome : undefined
      const refusedKeys = 'kind' in outcome ? new Set<string>() : outcome
      const verdicts = items.map((item) => judge(item, sender.taken, refusedKeys, host))
      if (verdicts.some((verdict) => verdict !== 'later')) return toJudged(batch, verdicts)
      const [key = ''] = items.flatMap((item) =>
        isRefusal(item) ? [] : (item.values[0]?.key ?? []),
      )
      return (
        failure ?? { kind: 'failed', reason: `the key ${key} of ${host} is still unknown to it` }
      )
    },
    async probe(signal) {
      try {
        await trapper.send([], signal)
        return undefined
      } catch (error) {
        return explain(error).reason
      }
    },
  }
}

const hasValues = (item: Item) => !isRefusal(item) && item.values.length > 0

/** @throws what is not the other side's fault */
function explain(error: unknown): Failure {
  if (!(error instanceof PeerError)) throw error
  const permanent = error.permanent ? { permanent: true } : {}
  return { kind: 'failed', reason: `it ${error.message}`, ...permanent }
}

/** An event is taken with the last of its values. */
function judge(
  item: Item,
  taken: ReadonlySet<Value>,
  refusedKeys: ReadonlySet<string>,
  host: string,
): Verdict {
  if (isRefusal(item)) return item
  const missing = item.values.filter((value) => !taken.has(value))
  const [first] = missing
  if (!first) return 'taken'
  if (!missing.every(({ key }) => refusedKeys.has(key))) return 'later'
  const detail = `has no item in Zabbix: the key ${first.key} is unknown on the host ${host}`
  return { field: first.field, detail: detail.slice(0, 1000).toWellFormed() }
}

function byKey(values: readonly Value[]): Value[][] {
  return [...Map.groupBy(values, ({ key }) => key).values()]
}
