import fc from 'fast-check'
import type { Job, StoredEvent } from '../../src/core/job.ts'
import { fromMs, type Micros, toMs } from '../../src/core/time.ts'
import { emptyWorld, type World } from './array-reader.ts'
import { addLot, aJob, idOf, someSources } from './sample-jobs.ts'

/* Text as programs really or maliciously send it, everywhere that a page shows text from outside. */

/** Each of a kind that breaks pages; the wire takes 256 characters. */
const kinds: readonly string[] = [
  'W'.repeat(256),
  'long-word-'.repeat(25),
  'many words '.repeat(23),
  ' ',
  '\u200b\u200b',
  '\u00a0\u3000',
  '\u2060\ufeff\u00ad',
  '\u0301\u0302',
  '\n\t\n',
  'שלום עולם '.repeat(20),
  '\u202egnp.tol\u202d',
  '\u2067unclosed',
  `e${'\u0301'.repeat(200)}`,
  `Z${'\u0334\u0340\u0362'.repeat(60)}algo`,
  '👩‍👩‍👧‍👦'.repeat(20),
  '\ufdfd'.repeat(60),
  '漢字'.repeat(100),
  '<script>alert(1)</script>',
  '"><img src=//elsewhere.example/x onerror=alert(1)>',
  '</title></h1></table><table>',
  '&lt;&nbsp;&#0;',
  'first line\nsecond line\r\nthird',
  '../../..?a=b#c',
  'javascript:alert(1)',
  `https://elsewhere.example/${'path/'.repeat(40)}`,
]

const any = fc.oneof(
  fc.constantFrom(...kinds),
  fc.string({ unit: 'grapheme', minLength: 1, maxLength: 100 }),
  fc.string({ unit: 'binary', minLength: 1, maxLength: 100 }).map(toStorable),
)

/** What the door takes: no NUL, no half of a surrogate pair, 256 characters. */
function toStorable(text: string): string {
  const storable = text.replaceAll('\0', '').toWellFormed()
  return storable === '' ? 'x' : Array.from(storable).slice(0, 256).join('')
}

/** Every kind, and a few more that differ from run to run, in an order of their own. */
export const hostileTexts = fc
  .array(any, { minLength: 5, maxLength: 15 })
  .chain((more) => fc.shuffledSubarray([...kinds, ...more], { minLength: kinds.length }))

/**
 * A fab in which every text is one of these; `lot` has all of them as names and values.
 *
 * @param now of the clock that the pages are rendered by
 */
export function hostileWorld(
  texts: readonly string[],
  now: () => Micros,
): { world: World; lot: Job } {
  const world = emptyWorld(now)
  const at = (i: number) => texts[i % texts.length] ?? ''
  const minutesAgo = (n: number) => fromMs(toMs(now()) - n * 60_000)
  world.sources = someSources(now()).map((source, i) => ({
    ...source,
    id: at(i + 1),
    gaps: source.gaps.map((gap) => ({ ...gap, source: at(i + 1) })),
  }))
  world.jobs = texts.map((text, i) =>
    aJob({
      id: idOf(`hostile ${i}`),
      jobKey: text,
      appName: at(i + 1).slice(0, 200),
      appVersion: at(i + 2).slice(0, 64),
      status: (['failed', 'running', 'succeeded', 'canceled'] as const)[i % 4]!,
      stuck: i % 8 === 1,
      startedAt: minutesAgo(i + 1),
      lastEventAt: minutesAgo(i + 0.5),
      lastError: at(i + 3),
      errorCount: 1,
      usual: { runs: 40, p05S: 40, p50S: 60, p95S: 90 },
      metadata: { tool: at(i + 4), chamber: at(i + 5), recipe: at(i + 6), priority: at(i + 7) },
    }),
  )
  return { world, lot: addHostileLot(world, texts, now()) }
}

function addHostileLot(world: World, texts: readonly string[], now: Micros): Job {
  const named = <T>(value: (i: number) => T) =>
    Object.fromEntries(texts.map((text, i) => [text, value(i)]))
  const at = (i: number) => texts[i % texts.length] ?? ''
  const plain = addLot(world, now)
  const lot: Job = {
    ...plain,
    jobKey: at(0),
    appName: at(1).slice(0, 200),
    lastError: texts.join(''),
    metrics: named((i) => 1.5 ** i),
    metadata: { ...named((i) => at(i + 1)), ...plain.metadata, tool: at(2), nested: { texts } },
  }
  world.jobs = world.jobs.map((job) => (job.id === lot.id ? lot : job))
  world.subjobs = texts.map((text, i) =>
    aJob({
      ...{ id: idOf(`part ${i}`), parentId: lot.id, entityType: 'subjob', jobKey: null },
      ...{ subKey: text, startedAt: fromMs(toMs(now) - (60 - i) * 30_000) },
      ...{ status: i % 5 === 0 ? 'failed' : 'succeeded', lastError: at(i + 1) },
      metadata: { chamber: at(i + 2) },
    }),
  )
  const events = world.events.get(lot.id) ?? []
  world.events.set(
    lot.id,
    events.map((event, i): StoredEvent => {
      const body = event.event as Record<string, unknown>
      const metadata = { [at(i)]: at(i + 1), error: at(i + 2) }
      const source = { id: at(i + 3), epoch: 'e1', seq: i + 1 }
      return { ...event, event: { ...body, metrics: { [at(i)]: 1 }, metadata }, source }
    }),
  )
  return lot
}
