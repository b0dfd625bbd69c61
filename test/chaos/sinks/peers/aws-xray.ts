import { createHash } from 'node:crypto'
import { findWrongSegment, readInput } from '../../../sinks/aws-checks.ts'
import { runPeer } from '../peer.ts'
import type { Seen } from '../seen.ts'
import { answerHeaders, garbageOf } from './aws.ts'

/*
 * X-Ray as far as counting goes: a segment is known by its ids and all that is in it, because one that differed would
 * overwrite. It checks what the checker before moto checks.
 */

const maxDocuments = 50

type Segment = Record<string, unknown> & {
  annotations: Record<'idempotency_key' | 'entity_id' | 'parent_id', string | undefined>
}

function toSeen(document: string): Seen {
  const segment = JSON.parse(document) as Segment
  const wrong = findWrongSegment(segment, document)
  if (wrong) throw new Error(`a segment with ${wrong}`)
  const { idempotency_key: key = '', entity_id = '', parent_id } = segment.annotations
  const content = createHash('sha256').update(document).digest('base64')
  return {
    ...{ id: `${segment.trace_id} ${segment.id} ${content}`, key },
    ...{ epoch: '', seq: 0, job: parent_id ?? entity_id },
  }
}

runPeer(() => ({
  isEvents: ({ path }) => path === '/TraceSegments',
  headers: answerHeaders,
  read(request) {
    const { TraceSegmentDocuments: documents } = readInput(request) as {
      TraceSegmentDocuments: string[]
    }
    if (documents.length > maxDocuments) throw new Error(`${documents.length} documents`)
    return documents.map(toSeen)
  },
  other: () => ({ status: 404 }),
  answer(events, taken, known) {
    const throttled = events.filter((_, i) => !taken[i] && !known[i])
    const UnprocessedTraceSegments = throttled.map(({ id }) => ({
      ...{ Id: id.split(' ')[1], ErrorCode: 'ThrottledException', Message: 'planted' },
    }))
    return { status: 200, body: { UnprocessedTraceSegments } }
  },
  tooLarge: ({ length }) => (length > 2 ? { status: 413 } : undefined),
  garbage: () => garbageOf('{"UnprocessedTraceSegments":[{"Id":"abc","ErrorCode":"x"}]}'),
}))
