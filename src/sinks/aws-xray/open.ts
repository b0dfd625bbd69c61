import { GetSamplingRulesCommand, PutTraceSegmentsCommand, XRayClient } from '@aws-sdk/client-xray'
import {
  type Delivery,
  type Failure,
  type Outgoing,
  type Refusal,
  type Sink,
  toJudged,
  type Verdict,
} from '../../core/delivery.ts'
import { findUnfit } from '../../core/event-columns.ts'
import { type SegmentDocument, toSegment } from '../../core/event-segment.ts'
import { askAws, explainAwsError, makeAwsOptions, readRefusal } from '../aws.ts'
import type { SinkContext } from '../kind.ts'
import { judge } from './judge.ts'
import type { Settings } from './settings.ts'

/** Maximum documents in a request. */
const maxDocuments = 50

/** The document of an event; why it has none; undefined when it does not end its job. */
type Item = SegmentDocument | Refusal | undefined

/** A repeat overwrites: a segment is known by its ids. */
export function openXray(settings: Settings, _context: SinkContext): Sink {
  const { options, close } = makeAwsOptions(settings)
  const client = new XRayClient(options)

  async function put(
    documents: readonly SegmentDocument[],
    signal: AbortSignal,
  ): Promise<ReturnType<typeof judge>> {
    const command = new PutTraceSegmentsCommand({
      TraceSegmentDocuments: documents.map(({ document }) => document),
    })
    try {
      const answer = await askAws(client.send(command, { abortSignal: signal }), signal)
      return judge(
        answer.UnprocessedTraceSegments ?? [],
        documents.map(({ id }) => id),
      )
    } catch (error) {
      const words = readRefusal(error)
      if (words === undefined) return explainAwsError(error)
      if (documents.length > 1) return { kind: 'too_large' }
      return [{ field: '', detail: `X-Ray answered ${words}` }]
    }
  }

  return {
    async deliver(batch, signal) {
      const items = batch.map((one) => toItem(one, settings.service_name))
      const documents = items.filter(isDocument)
      const verdicts = new Map<SegmentDocument, Verdict>()
      const waiting = new Set<string>()
      for (const request of toRequests(documents)) {
        // Sent now, a further attempt would be overwritten by the one that comes again.
        const sent = request.filter(({ id }) => !waiting.has(id))
        if (sent.length === 0) continue
        const judged = await put(sent, signal)
        if (!Array.isArray(judged)) return toDelivery(batch, items, verdicts, judged)
        for (const [i, verdict] of judged.entries()) {
          const document = sent[i]
          if (document) verdicts.set(document, verdict)
          if (document && verdict === 'later') waiting.add(document.id)
        }
      }
      return toDelivery(batch, items, verdicts)
    },
    async probe(signal) {
      try {
        await askAws(client.send(new GetSamplingRulesCommand({}), { abortSignal: signal }), signal)
        return undefined
      } catch (error) {
        return explainAwsError(error).reason
      }
    },
    close,
  }
}

const isDocument = (item: Item): item is SegmentDocument => item !== undefined && 'document' in item

/** Answers name documents by id, so that no request has an id twice: attempts of a job have the same. */
function toRequests(documents: readonly SegmentDocument[]): SegmentDocument[][] {
  const requests: SegmentDocument[][] = []
  let ids = new Set<string>()
  for (const document of documents) {
    if (requests.length === 0 || ids.size >= maxDocuments || ids.has(document.id)) {
      ids = new Set()
      requests.push([])
    }
    ids.add(document.id)
    requests.at(-1)?.push(document)
  }
  return requests
}

function toItem({ event }: Outgoing, service: string | undefined): Item {
  const unfit = findUnfit(event)
  return unfit || !event ? unfit : toSegment(event, service)
}

/** @param ended why no more was sent */
function toDelivery(
  batch: readonly Outgoing[],
  items: readonly Item[],
  verdicts: ReadonlyMap<SegmentDocument, Verdict>,
  ended?: { kind: 'too_large' } | Failure,
): Delivery {
  if (ended?.kind === 'too_large') return ended
  const all = items.map((item): Verdict => {
    if (item === undefined) return 'taken'
    return isDocument(item) ? (verdicts.get(item) ?? 'later') : item
  })
  if (!all.every((verdict) => verdict === 'later')) return toJudged(batch, all)
  return ended ?? { kind: 'failed', reason: 'it takes no segment at the moment (throttled)' }
}
