import type { Delivery, Outgoing } from '../../src/core/delivery.ts'
import { type SinkUnderTest, testSink } from './contract.ts'

/* A sink that answers everything wrong: what a careless author, or a bug, could come up with. */

type Answer = (batch: readonly Outgoing[], signal: AbortSignal) => unknown

const judged = (verdicts: unknown) => ({ kind: 'judged', verdicts })
const each = (batch: readonly Outgoing[], verdict: unknown) => judged(batch.map(() => verdict))
const hang: Answer = (_, signal) =>
  new Promise((_resolve, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason))
  })

const answers: Readonly<Record<string, Answer>> = {
  'nothing at all': () => undefined,
  null: () => null,
  'a word': () => 'taken',
  'a number': () => 1_000_000,
  'an unknown kind': () => ({ kind: 'taken', upTo: 1_000_000, refused: [] }),
  'no verdicts': () => ({ kind: 'judged' }),
  'an empty list': () => judged([]),
  'one verdict too few': (batch) => judged(batch.slice(1).map(() => 'taken')),
  'one verdict too many': (batch) => judged([...batch, 0].map(() => 'taken')),
  'a list with holes': (batch) => judged(new Array(batch.length)),
  'something with a length': ({ length }) => judged({ length, every: () => true }),
  'a text for a list': ({ length }) => judged('t'.repeat(length)),
  'a verdict in other words': (batch) => each(batch, 'Taken'),
  'true for a verdict': (batch) => each(batch, true),
  'null for a verdict': (batch) => each(batch, null),
  'a refusal without a detail': (batch) => each(batch, { field: '' }),
  'a refusal without a field': (batch) => each(batch, { detail: '' }),
  'a refusal with numbers': (batch) => each(batch, { field: 1, detail: 2 }),
  'one bad verdict at the end': (batch) => judged([...batch.slice(1).map(() => 'taken'), 'Later']),
  'a state that is not text': (batch) => ({ ...each(batch, 'taken'), state: 7 }),
  'a state that is too long': (batch) => ({ ...each(batch, 'taken'), state: 'x'.repeat(4097) }),
  'later to everything': (batch) => each(batch, 'later'),
  'a failure without a reason': () => ({ kind: 'failed' }),
  'a wait below zero': () => ({ kind: 'failed', reason: 'planted', retryAfterMs: -1 }),
  'a wait that is not a number': () => ({ kind: 'failed', reason: '', retryAfterMs: Number.NaN }),
  'a wait in words': () => ({ kind: 'failed', reason: 'planted', retryAfterMs: '5' }),
  'a wait without end': () => ({ kind: 'failed', reason: '', retryAfterMs: Infinity }),
  'too large, whatever the size': () => ({ kind: 'too_large' }),
  'an error': () => {
    throw new Error('planted')
  },
  'undefined thrown': () => Promise.reject(undefined),
  'an answer that cannot be looked at': () => ({
    get kind() {
      throw new Error('planted')
    },
  }),
  'no answer': hang,
}

const hangs = 'no answer'

testSink({
  name: 'a sink that answers everything wrong',
  // A sink that hangs does so until it is told to stop: there is no deadline but its own.
  troubles: Object.keys(answers).filter((name) => name !== hangs),
  hangs,
  open: async () => openWrongSink(),
})

function openWrongSink(): SinkUnderTest {
  const took = new Set<number>()
  let wrong: Answer | undefined
  return {
    took,
    refused: new Set(),
    trouble: (name) => {
      wrong = name === undefined ? undefined : answers[name]
    },
    deliver: async (batch, signal) => {
      if (wrong) return (await wrong(batch, signal)) as Delivery
      for (const { seq } of batch) took.add(seq)
      return each(batch, 'taken') as Delivery
    },
  }
}
