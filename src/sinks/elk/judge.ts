import type { Delivery, Verdict } from '../../core/delivery.ts'
import type { HttpAnswer } from '../../platform/http-client.ts'
import { explainStatus } from '../http.ts'

/*
 * What an answer to a bulk request stands for. A 200 says nothing by itself: each item has a status of its
 * own. It is believed only when it has one item for each document that was sent, in their order. A refusal of the
 * whole request refuses no event: a wrong key or a proxy must not empty the spool.
 */

type Answer = Exclude<Delivery, { kind: 'judged' }> | { kind: 'items'; verdicts: Verdict[] }

/** @param ids of the documents that were sent, in their order */
export function judge(answer: HttpAnswer, ids: readonly string[]): Answer {
  const { status } = answer
  if (status === 200) return judgeItems(answer.body.toString('utf8'), ids)
  if (status === 413 && ids.length > 1) return { kind: 'too_large' }
  return explainStatus(answer, hints)
}

/** The setting to check, where waiting does not help. */
export const hints: Readonly<Record<number, string>> = {
  400: 'it takes no bulk requests of ours (a proxy?)',
  401: 'check username and password, or api_key',
  403: 'check what the user or the api_key may do',
  404: 'check elasticsearch_url',
  413: 'a proxy takes less than one event; raise its limit',
}

type Item = { _id?: unknown; status?: unknown; error?: { type?: unknown; reason?: unknown } }

function judgeItems(text: string, ids: readonly string[]): Answer {
  const items = readItems(text)
  const fits = items?.length === ids.length && items.every((item, i) => item?._id === ids[i])
  if (!items || !fits) {
    return {
      kind: 'failed',
      reason: `it answered 200, but not with an item for each of the ${ids.length} documents sent`,
    }
  }
  const verdicts = items.map((item) => judgeItem(item ?? {}))
  if (verdicts.some((verdict) => verdict !== 'later')) return { kind: 'items', verdicts }
  const { status, error } = items[0] ?? {}
  return {
    kind: 'failed',
    reason: `it takes no document at the moment: ${status} ${shorten(error?.type)}`,
  }
}

/** Each item is `{create: {...}}`. */
function readItems(text: string): (Item | undefined)[] | undefined {
  try {
    const { items } = Object(JSON.parse(text)) as { items?: unknown }
    if (!Array.isArray(items)) return undefined
    return items.map((item) => (Object(item) as { create?: Item | null }).create ?? undefined)
  } catch {
    return undefined
  }
}

/** A 400 that is about the index or the cluster, and not about the document. */
const ofCluster =
  /^(validation_exception|cluster_block_exception|index_closed_exception|invalid_index_name_exception|invalid_alias_name_exception|index_not_found_exception)$/

/** 409: it is there already, from an answer that was lost. */
function judgeItem({ status, error }: Item): Verdict {
  if (status === 200 || status === 201 || status === 409) return 'taken'
  const type = shorten(error?.type)
  if (status !== 400 || ofCluster.test(type)) return 'later'
  return { field: fieldOf(error?.reason), detail: `${type}: ${shorten(error?.reason)}` }
}

const shorten = (text: unknown) =>
  String(typeof text === 'string' ? text : '')
    .slice(0, 300)
    .toWellFormed()

/** `failed to parse field [duration_s] of type [double] ...` */
const fieldOf = (reason: unknown) =>
  /field \[([^\]]{1,100})\]/.exec(typeof reason === 'string' ? reason : '')?.[1] ?? ''
