import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { ConfigError } from '../../../src/core/errors.ts'
import { BrokenFile, Source } from '../../../src/tools/import/source.ts'
import { DistinctTimes } from '../../../src/tools/replay/distinct.ts'
import { freshFolder } from '../../support/processes.ts'
import { readFound, sample, samples, toTaken } from './support.ts'

const factor = Number(process.env.FUZZ_FACTOR ?? 1)
const folder = freshFolder()

/** Writes a file and reads it as a format. */
async function readText(format: string, content: string | Buffer, options: object) {
  const file = join(folder, `${format}.txt`)
  writeFileSync(file, content)
  return readFound(format, file, options)
}

type Change = {
  at: number
  kind: 'cut' | 'drop' | 'byte' | 'repeat' | 'text'
  byte: number
  text: string
}
const change: fc.Arbitrary<Change> = fc.record({
  at: fc.double({ min: 0, max: 1, noNaN: true }),
  kind: fc.constantFrom('cut', 'drop', 'byte', 'repeat', 'text'),
  byte: fc.nat(255),
  text: fc.constantFrom(
    '"',
    '\n',
    '<',
    '\0',
    '{',
    '}',
    '|',
    '\t',
    '99999999999999999999',
    '-',
    '😀',
  ),
})

function apply(content: Buffer, { at, kind, byte, text }: Change): Buffer {
  const place = Math.floor(at * content.length)
  const [before, after] = [content.subarray(0, place), content.subarray(place)]
  if (kind === 'cut') return before
  if (kind === 'drop') return Buffer.concat([before, after.subarray(1 + (byte % 40))])
  if (kind === 'byte') return Buffer.concat([before, Buffer.from([byte]), after.subarray(1)])
  if (kind === 'repeat')
    return Buffer.concat([before, content.subarray(place - byte, place), after])
  return Buffer.concat([before, Buffer.from(text), after])
}

describe('a broken file', () => {
  for (const { format, file, bad: _, ...options } of samples) {
    const whole = readFileSync(sample(file))
    const lines = whole.toString().split('\n')

    test(`${file}: costs what is broken, and gives nothing that a sidecar refuses`, async () => {
      await fc.assert(
        fc.asyncProperty(fc.array(change, { minLength: 1, maxLength: 4 }), async (changes) => {
          const content = changes.reduce(apply, whole)
          try {
            const found = await readText(format, content, options)
            // Throws when the first door refuses one.
            toTaken(found)
            const last = content.toString().split('\n').length + 1
            for (const { line } of found) assert.ok(line >= 1 && line <= last, `line ${line}`)
          } catch (error) {
            // The head of a table may be what broke.
            assert.ok(error instanceof ConfigError, String(error))
          }
        }),
        { numRuns: 60 * factor },
      )
    })

    if (format === 'xes') continue
    test(`${file}: a line of something else costs itself alone`, async () => {
      const usual = toTaken(await readText(format, whole, options))
      // Not before the head of a table, and not within a row or an event of several lines.
      const places = lines.flatMap((_line, i) => (i > 0 && isBetween(format, lines, i) ? [i] : []))
      assert.ok(places.length >= 2)
      for (const place of places) {
        const content = lines.toSpliced(place, 0, 'neither one nor the other').join('\n')
        const found = await readText(format, content, options)
        assert.deepEqual(toTaken(found), usual, `line ${place + 1}`)
        const named = found.flatMap((one) => ('why' in one ? [one.line] : []))
        assert.ok(named.includes(place + 1), `line ${place + 1}`)
      }
    })
  }

  test('that ends within XML gives what came before', async () => {
    const whole = readFileSync(sample('cases.xes'), 'utf8')
    const torn = whole.slice(0, whole.indexOf('R-3'))
    const found = await readText('xes', torn, {})
    const last = found.at(-1)
    assert.ok(last && 'why' in last && /is not well-formed XML/.test(last.why))
    const usual = await readText('xes', whole, {})
    assert.deepEqual(toTaken(found), toTaken(usual).slice(0, toTaken(found).length))
    assert.ok(toTaken(found).length > 10)
  })

  test('that is broken within XML gives nothing of what comes after', async () => {
    const whole = readFileSync(sample('cases.xes'), 'utf8')
    const place = whole.indexOf('</trace>', whole.indexOf('R-2'))
    const found = await readText('xes', `${whole.slice(0, place)}</trcae>${whole.slice(place)}`, {})
    assert.match(JSON.stringify(found.at(-1)), /is not well-formed XML/)
    const usual = await readText('xes', whole, {})
    assert.deepEqual(toTaken(found), toTaken(usual).slice(0, toTaken(found).length))
    assert.doesNotMatch(JSON.stringify(found), /R-3/)
  })

  test('of a table: a field that its delimiter cuts in two moves no other', async () => {
    const rows = (end: string) => [
      `JobID|State|Start|End|JobName|Partition|Comment${end}`,
      `1|COMPLETED|2026-03-01T10:00:00|2026-03-01T10:01:00|a|day|${end}`,
      `2|COMPLETED|2026-03-01T10:00:00|2026-03-01T10:01:00|a|b|day|${end}`,
    ]
    for (const end of ['', '|']) {
      const found = await readText('sacct', rows(end).join('\n'), { zone: 'UTC' })
      const named = found.flatMap((one) => ('why' in one ? [one.line] : []))
      assert.deepEqual([named, toTaken(found).length], [[3], 2], end)
    }
  })

  test('of XML with entities of its own does not grow', async () => {
    const entities = Array.from(
      { length: 20 },
      (_, i) => `<!ENTITY e${i + 1} "${`&e${i};`.repeat(10)}">`,
    )
    const bomb = `<!DOCTYPE log [<!ENTITY e0 "x">${entities.join('')}]><log><trace><event><string key="concept:name" value="&e20;"/></event></trace></log>`
    const found = await readText('xes', bomb, {})
    assert.match(JSON.stringify(found), /is not well-formed XML/)
  })
})

/** True where a line may be put between two pieces. */
function isBetween(format: string, lines: readonly string[], i: number): boolean {
  const [before = '', after = ''] = [lines[i - 1], lines[i]]
  if (after === '' && i === lines.length - 1) return false
  if (format === 'htcondor') return before === '...' || /^\d{10}/.test(before)
  if (format === 'csv') return !after.startsWith('too thick')
  if (format === 'otlp-json') return /^\{"resourceSpans"/.test(after) && !before.endsWith('{')
  return true
}

describe('lines of a file', () => {
  async function linesOf(content: string | Buffer, max?: number) {
    const file = join(folder, 'lines.txt')
    writeFileSync(file, content)
    const found = []
    for await (const cut of new Source(file).lines(max)) found.push(cut)
    return found
  }

  test('are those of a naive reading, with their numbers, wherever chunks end', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.string({ unit: 'grapheme' })), async (texts) => {
        const content = texts.map((text) => text.replaceAll(/[\r\n]/g, '')).join('\n')
        const found = await linesOf(content)
        const naive = content
          .toWellFormed()
          .replace(/^\ufeff/, '')
          .split('\n')
        if (naive.at(-1) === '') naive.pop()
        assert.deepEqual(
          found,
          naive.map((value, i) => ({ line: i + 1, value })),
        )
      }),
      { numRuns: 40 * factor },
    )
  })

  test('that are too long are named, and the next one is read', async () => {
    const found = await linesOf(`a\n${'x'.repeat(700_000)}\nb\r\n${'y'.repeat(101)}`, 100)
    assert.deepEqual(
      found.map((one) => ('why' in one ? one.why : one.value)),
      ['a', 'is longer than 100 characters', 'b', 'is longer than 100 characters'],
    )
  })

  test('of a broken compression end with an error of their own', async () => {
    await assert.rejects(linesOf(Buffer.from([0x1f, 0x8b, 0, 1, 2, 3])), BrokenFile)
  })
})

describe('times of one job', () => {
  test('keep the order of the file, and repeats are the same', () => {
    const said = fc.record({ job: fc.nat(3), second: fc.nat(3), print: fc.nat(20) })
    fc.assert(
      fc.property(fc.array(said), (all) => {
        const times = new DistinctTimes()
        const seen = new Map<string, string>()
        const lastOf = new Map<string, string>()
        for (const { job, second, print } of all) {
          const at = times.take(`${job}`, `2026-03-01T10:00:0${second}.000000Z`, `${print}`)
          const place = `${job} ${second}`
          const known = seen.get(`${place} ${print}`)
          if (known !== undefined) {
            assert.equal(at, known)
            continue
          }
          seen.set(`${place} ${print}`, at)
          assert.ok(at > (lastOf.get(place) ?? ''), 'later than what came before it')
          assert.equal(at.slice(0, 19), `2026-03-01T10:00:0${second}`)
          lastOf.set(place, at)
        }
      }),
      { numRuns: 100 * factor },
    )
  })

  test('are remembered within bounds', () => {
    const times = new DistinctTimes(10)
    const at = '2026-03-01T10:00:00.000000Z'
    for (let i = 0; i < 100; i++) times.take(`${i}`, at, 'a')
    // Forgotten: as if it were the first again.
    assert.equal(times.take('0', at, 'b'), at)
    assert.equal(times.take('99', at, 'b'), '2026-03-01T10:00:00.000001Z')
  })
})
