import { gzipSync, zstdCompressSync } from 'node:zlib'
import fc from 'fast-check'
import { isOpen, statuses } from '../../src/core/job.ts'
import { kinds } from '../../src/core/kinds.ts'

/*
 * Events at the limits of the wire, events that are almost right, and values that are not events at all; and
 * the ways in which they can be put into a request.
 */

/** How often each property is tried: FUZZ_FACTOR=50 makes a long night of it. */
export const runs = (standard: number) => Math.ceil(standard * Number(process.env.FUZZ_FACTOR ?? 1))

/** Characters that have made trouble somewhere, besides any other. */
const char = fc.oneof(
  fc.constantFrom('a', 'é', '\u007f', '\ufeff', '\uffff', '😀', '𝒳', '"', '\\', '\n', '%', "'"),
  fc.string({ unit: 'grapheme', minLength: 1, maxLength: 1 }),
)
const textTo = (max: number) =>
  fc.oneof(
    { weight: 6, arbitrary: fc.array(char, { minLength: 1, maxLength: 8 }).map((c) => c.join('')) },
    fc.constantFrom('a', '😀', 'é', '\u2028').map((c) => c.repeat(max)),
  )

const upper = fc.uuid().map((id) => id.toUpperCase())
const id = fc.oneof(fc.uuid(), upper)
const names = ['__proto__', 'constructor', 'toString', 'hasOwnProperty', '', 'length', 'é😀', '0']

const at = fc.oneof(
  fc.integer({ min: -3_600_000, max: 60_000 }).map((ms) => new Date(Date.now() + ms).toISOString()),
  fc.constantFrom(
    '1970-01-01T00:00:00Z',
    '1970-01-01T23:59:00+23:59',
    '9999-12-31T23:59:59.999999999Z',
    '2024-02-29t23:59:59.1z',
    '2026-03-01 12:00:00.123456789+14:00',
    '2026-03-01T00:00:00-23:59',
    '2026-03-01T12:00:00.0000009Z',
    '2026-03-01T12:00:00+0100',
    '2026-03-01 12:00:00 -05',
    '20260301T120000.5Z',
    '2016-12-31T23:59:60.5Z',
    '2026-03-01T12:00:00.0000001234567Z',
  ),
)

const number = fc.oneof(
  fc.double({ noNaN: true, noDefaultInfinity: true }),
  fc.constantFrom(0, 1e308, -1e308, 5e-324, 2 ** 53, 2 ** 53 + 2, 1e21, 1e-7, 0.1, -1e9, 1e9, 1e10),
)
const leaf = fc.oneof(number, textTo(50), fc.boolean(), fc.constant(null))

/** Objects whose names are their own, also where JavaScript has other plans for them. */
const objectOf = (name: fc.Arbitrary<string>, value: fc.Arbitrary<unknown>, maxKeys: number) =>
  fc
    .uniqueArray(fc.tuple(name, value), { maxLength: maxKeys, selector: ([key]) => key })
    .map((entries) => Object.fromEntries(entries))
const anyName = fc.oneof(fc.constantFrom(...names), textTo(20))

const nested = (depth: number) =>
  JSON.parse(`${'{"a":['.repeat(depth / 2)}1${']}'.repeat(depth / 2)}`) as object
/** Envelope, event and metadata are three of the 32 levels. */
const deepest = nested(28)
/** A metadata object of exactly this many bytes. */
export const metadataOf = (bytes: number) => ({ x: 'y'.repeat(bytes - '{"x":""}'.length) })
const metadata = fc.oneof(
  { weight: 5, arbitrary: objectOf(anyName, leaf, 5) },
  objectOf(anyName, objectOf(anyName, fc.array(leaf, { maxLength: 3 }), 3), 3),
  fc.constant({ deep: deepest }),
  fc.constant(metadataOf(32 * 1024)),
)
const metricNames = ['duration_s', 'cpu_user_s', 'cpu_system_s', 'mem_max_mb', 'progress']
const metrics = fc.oneof(
  objectOf(fc.oneof(fc.constantFrom(...metricNames, ...names), textTo(300)), number, 6),
  fc.constant(Object.fromEntries(Array.from({ length: 64 }, (_, i) => [`m${i}`, i]))),
)

/** Fields of a later version of the wire. */
const unknown = objectOf(
  fc.oneof(
    fc.constantFrom('__proto__', 'constructor', 'x_later'),
    textTo(9).map((n) => `x_${n}`),
  ),
  fc.oneof(leaf, objectOf(anyName, leaf, 2)),
  2,
)
const maybe = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: undefined })

const kindAndStatus = fc
  .tuple(fc.constantFrom(...kinds), fc.constantFrom(undefined, null, ...statuses))
  .filter(([kind, status]) => kind !== 'finished' || !status || !isOpen(status))

const attempt = fc.constantFrom(undefined, undefined, null, 1, 2, 1_000_000)
const entity = fc.oneof(
  fc.record({ type: fc.constant('job'), id, parent_id: fc.constantFrom(undefined, null), attempt }),
  fc.record({ type: fc.constant('subjob'), id, parent_id: id, attempt }),
)

export type WildEvent = {
  idempotency_key: string
  app: object
  entity: { id: string; type: string }
  event: { metadata?: object | null | undefined; metrics?: object | null | undefined }
}

/** Events that the first door has to accept, however odd. */
export const validEvent: fc.Arbitrary<WildEvent> = fc
  .record({
    key: fc.oneof(id, textTo(128)),
    site: fc.constantFrom('fab1', 'a', '...', '-', '_'.repeat(64)),
    app: fc.record({ app_id: id, name: textTo(200), version: maybe(textTo(64)), more: unknown }),
    entity,
    keys: fc.record({ business_key: maybe(textTo(256)), sub_key: maybe(textTo(256)) }),
    kind: kindAndStatus,
    times: fc.record({
      ...{ at, started_at: maybe(at), ended_at: maybe(at) },
      started_at_added: fc.constantFrom(undefined, null, true, false),
    }),
    metrics: maybe(metrics),
    metadata: maybe(metadata),
    historical: fc.constantFrom(undefined, null, true, false),
    unknown: fc.record({ top: unknown, entity: unknown, event: unknown }),
  })
  .map((r) => ({
    idempotency_key: r.key,
    site_id: r.site,
    app: own({ app_id: r.app.app_id, name: r.app.name, version: r.app.version }, r.app.more),
    entity: own({ ...r.entity, ...r.keys }, r.unknown.entity),
    event: own(
      {
        kind: r.kind[0],
        status: r.kind[1],
        ...r.times,
        metrics: r.metrics,
        metadata: r.metadata,
      },
      r.unknown.event,
    ),
    historical: r.historical,
    ...r.unknown.top,
  }))

/** Both objects in one; a field called __proto__ is a field. */
function own<T extends object>(known: T, unknown: object): T {
  return Object.fromEntries([...Object.entries(known), ...Object.entries(unknown)]) as T
}

/** Values that no field, or hardly any, should hold; as JSON, because some are not values of ours. */
const odd = fc.oneof(
  fc.constantFrom(
    ...['null', 'true', '0', '-0', '1.5', '1e999', '-1e999', '1e-400', '9007199254740993'],
    ...['[]', '{}', '""', '" "', '[[[[1]]]]', '{"__proto__":1}', '{"__proto__":{"a":"b"}}'],
    ...['"\\u0000"', '"\\ud83d"', '"\\udc00\\ud800"', '"a\\u0000b"', '"..", "site_id": "a/b"'],
    ...[
      '"0000-01-01T00:00:00Z"',
      '"1969-12-31T23:59:59Z"',
      '"1970-01-01T00:00:00+00:01"',
      '"1969-12-31T10:00:00-14:00"',
    ],
    ...['"+275760-09-13T00:00:00Z"', '"10000-01-01T00:00:00Z"', '"2016-12-31T23:59:60Z"'],
    ...['NaN', '-Infinity', '[Infinity]', '"NaN Infinity"'],
    ...['"0001-01-01T00:00:00Z"', '"1899-12-30T00:00:00+01:00"', '"1601-01-01"'],
    ...['"2026-03-01T24:00:00Z"', '"2026-02-30T00:00:00Z"', '"2026-03-01T12:00:00"'],
    ...['"2026-03-01T12:00:00+24:00"', '"2026-03-01T12:00:00.1234567890Z"', '"2026-03-01"'],
    ...['1772366400000', '"now"', '"infinity"', '"NaN"', 'finished', '"00-0-0-00"'],
    JSON.stringify('x'.repeat(129)),
    JSON.stringify('😀'.repeat(257)),
    JSON.stringify(nested(40)),
    JSON.stringify(metadataOf(32 * 1024 + 1)),
    JSON.stringify(Object.fromEntries(Array.from({ length: 65 }, (_, i) => [`m${i}`, i]))),
    `0.${'0'.repeat(299)}1e-99`,
  ),
  fc.json({ maxDepth: 3 }),
)

const paths = [
  ...['idempotency_key', 'site_id', 'app', 'entity', 'event', 'traceparent', 'source'],
  ...['received_at', 'historical', 'app.app_id', 'app.name', 'app.version', 'entity.type'],
  ...[
    'entity.attempt',
    'entity.id',
    'entity.parent_id',
    'entity.business_key',
    'entity.sub_key',
    'event.kind',
  ],
  ...['event.at', 'event.status', 'event.metrics', 'event.metadata', 'event.started_at'],
  'event.started_at_added',
  ...['event.ended_at', 'event.reported_at', 'event.reported_started_at', 'event.metrics.x'],
  ...['event.metrics.__proto__', 'event.metadata.x', 'event.x', 'source.seq', 'source.id'],
]
const place = 'THE PLACE'

/** A valid event with something else in one place, as JSON that may not even be JSON. */
export const nearlyValid: fc.Arbitrary<string> = fc
  .record({ event: validEvent, path: fc.constantFrom(...paths), odd })
  .map(({ event, path, odd: value }) => {
    const copy = structuredClone(event) as Record<string, unknown>
    put(copy, path.split('.'))
    return JSON.stringify(copy).replace(JSON.stringify(place), () => value)
  })

function put(object: Record<string, unknown>, [first = '', ...rest]: string[]): void {
  const next = Object.hasOwn(object, first) ? object[first] : undefined
  const isObject = typeof next === 'object' && next !== null
  const value = rest.length === 0 ? place : isObject ? next : {}
  Object.defineProperty(object, first, { value, enumerable: true, configurable: true })
  if (rest.length > 0) put(value as Record<string, unknown>, rest)
}

/** A line that has nothing to do with events, or is not JSON. */
export const wildJson: fc.Arbitrary<string> = fc.oneof(
  fc.json(),
  odd,
  fc.constantFrom('[[[[', '{"a":', '"', 'nul', '{"a":1,"a":2}', "{'a':1}", '{"a":1}}', '\u0001'),
)

export type Packed = { body: Buffer; headers: Record<string, string> }

const encodings = {
  identity: (body: Buffer) => body,
  gzip: (body: Buffer) => gzipSync(body, { level: 1 }),
  zstd: (body: Buffer) => zstdCompressSync(body),
}
export type Packing = {
  encoding: keyof typeof encodings
  lines: false | '\n' | '\r\n' | '\n\n'
  bom: boolean
}

export const packing: fc.Arbitrary<Packing> = fc.record({
  encoding: fc.constantFrom('identity', 'gzip', 'zstd'),
  lines: fc.constantFrom<Packing['lines'][]>(false, '\n', '\r\n', '\n\n'),
  bom: fc.boolean(),
})

/** A batch as the body of a request. */
export function pack(items: readonly string[], { encoding, lines, bom }: Packing): Packed {
  const text = lines === false ? `[${items.join(',')}]` : items.join(lines)
  const type = lines === false ? 'application/json' : 'application/x-ndjson'
  return {
    body: encodings[encoding](Buffer.from((bom ? '\ufeff' : '') + text)),
    headers: { 'content-type': type, 'content-encoding': encoding },
  }
}

/** Bytes that may once have been a request: cut, flipped, or never more than noise. */
export const spoiled: fc.Arbitrary<Packed> = fc.oneof(
  fc.record({ body: fc.uint8Array({ maxLength: 200 }), encoding: encodingName() }).map(sent),
  fc
    .record({ event: validEvent, how: packing, at: fc.double({ min: 0, max: 1, noNaN: true }) })
    .chain(({ event, how, at: share }) => {
      const { body } = pack([JSON.stringify(event)], how)
      const place = Math.floor(share * body.length)
      const flipped = Buffer.from(body)
      if (flipped.length > place) flipped[place] = flipped[place]! ^ 0xff
      return fc.record({
        body: fc.constantFrom(body.subarray(0, place), flipped, body),
        encoding: fc.oneof(fc.constant(how.encoding as string), encodingName()),
      })
    })
    .map(sent),
)

function encodingName() {
  return fc.constantFrom('identity', 'gzip', 'zstd', 'br', 'deflate', 'gzip, gzip', 'x', 'GZIP')
}

function sent({ body, encoding }: { body: Uint8Array; encoding: string }): Packed {
  return { body: Buffer.from(body), headers: { 'content-encoding': encoding } }
}
