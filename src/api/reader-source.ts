import type { HttpBindings } from '@hono/node-server'
import type { Context } from 'hono'
import { maxPageBytes } from '../core/answer-size.ts'
import type { JobReader } from '../core/job.ts'
import type { SitesReport } from '../core/sites.ts'
import { readCaller } from '../platform/auth.ts'
import { nameCallerOf } from '../platform/body.ts'
import { ByteBudget, type Room } from '../platform/byte-budget.ts'
import { streamBody } from './stream-body.ts'

/** A reader for one question, and the outcome per site once it is answered. */
export type Asked = { reader: JobReader; sites?: () => SitesReport }

/** The source of answers: one reader, or one made for every question, which reports on its sites. */
export type ReaderSource = JobReader | (() => Asked)

export const ask = (source: ReaderSource): Asked =>
  typeof source === 'function' ? source() : { reader: source }

/**
 * Answers a question with one object: the body, the time it took, and over several sites the outcome
 * per site.
 *
 * @param started when the question came, from performance.now()
 */
export function answer(c: Context, { sites }: Asked, started: number, body: object): Response {
  // A job has a `duration_s` of its own, which wins.
  const all = { duration_s: secondsSince(started), ...body, ...(sites && { sites: sites() }) }
  return c.body(JSON.stringify(all), 200, json)
}

/** The items of a list, and what stands beside them. */
export type Listed<Item> = {
  items: readonly Item[]
  toWire: (item: Item) => object
  more?: object
}

/**
 * Answers a question with a list. A long one is written, and sent, a piece at a time: others get their
 * turn in between. It is all written before the answer begins, so that a failure is answered as such.
 *
 * @param most how many items may come; room for them is taken before the question is asked
 * @throws AppError overloaded, while others read too much and too slowly; as `find`
 */
export async function answerItems<Item>(
  c: Context,
  { sites }: Asked,
  most: number,
  find: () => Promise<Listed<Item>>,
): Promise<Response> {
  const started = performance.now()
  const room = await takeRoom(c, Math.min(maxPageBytes, most * itemBytes))
  let isSent = false
  try {
    const { items, toWire, more } = await find()
    const rest = {
      duration_s: secondsSince(started),
      count: items.length,
      ...more,
      ...(sites && { sites: sites() }),
    }
    const { pieces, bytes } = await writeItems(items, toWire)
    const [head, end] = [`${JSON.stringify(rest).slice(0, -1)},"items":[`, ']}']
    if (pieces.length <= 1) return c.body(`${head}${pieces[0] ?? ''}${end}`, 200, json)
    const length = Buffer.byteLength(head) + bytes + end.length
    const headers = { ...json, 'content-length': String(length) }
    if (c.req.method === 'HEAD') return c.body(null, 200, headers)
    room.shrink(length)
    const body = streamBody(c, takeEach([head, ...pieces, end], room), { stallMs, longestMs })
    isSent = true
    return c.body(body, 200, headers)
  } finally {
    if (!isSent) room.give()
  }
}

const json = { 'content-type': 'application/json' }

/** How long a caller may take for a piece, and for all of it: what it does not read stays in our memory. */
const [stallMs, longestMs] = [60_000, 600_000]
/** An item is counted as this many bytes before it is known, which few reach. */
const itemBytes = 50_000
/** What answers take of the memory of a role until they are read, and how long one waits for room. */
const budget = new ByteBudget({ total: 256 * 2 ** 20, share: 128 * 2 ** 20, waitMs: 10_000 })

async function takeRoom(c: Context, bytes: number): Promise<Room> {
  const { incoming, outgoing } = (c.env ?? {}) as Partial<HttpBindings>
  const caller = incoming ? nameCallerOf(incoming, readCaller(c)) : 'this process'
  const room = await budget.take(caller, bytes, c.req.raw.signal)
  // Also when nothing of it is ever asked for.
  if (outgoing?.destroyed) room.give()
  else outgoing?.once('close', room.give)
  return room
}

/** Characters of a piece, about, and items that are written in one go. */
const [pieceLength, pieceItems] = [128 * 1024, 100]

/** The JSON of the items, in pieces that belong after each other, and the bytes of all of them. */
async function writeItems<Item>(
  items: readonly Item[],
  toWire: (item: Item) => object,
): Promise<{ pieces: string[]; bytes: number }> {
  const pieces: string[] = []
  let [piece, bytes] = ['', 0]
  for (let [i, count] = [0, 1]; i < items.length; ) {
    const some = JSON.stringify(items.slice(i, i + count).map(toWire)).slice(1, -1)
    piece += i > 0 ? `,${some}` : some
    i += count
    count = Math.max(1, Math.min(pieceItems, Math.floor((count * pieceLength) / some.length)))
    if (piece.length < pieceLength && i < items.length) continue
    pieces.push(piece)
    bytes += Buffer.byteLength(piece)
    piece = ''
    if (i < items.length) await new Promise(setImmediate)
  }
  return { pieces, bytes }
}

/** Each of them once, and then no longer held. */
async function* takeEach(texts: string[], room: Room): AsyncGenerator<string> {
  texts.reverse()
  let left = texts.reduce((sum, text) => sum + Buffer.byteLength(text), 0)
  try {
    for (let text = texts.pop(); text !== undefined; text = texts.pop()) {
      yield text
      left -= Buffer.byteLength(text)
      room.shrink(left)
    }
  } finally {
    room.give()
  }
}

export const secondsSince = (started: number): number =>
  Math.round((performance.now() - started) * 1000) / 1e6

/** A list that comes whole. */
export const toList = (items: readonly unknown[]) => ({ items, count: items.length })
