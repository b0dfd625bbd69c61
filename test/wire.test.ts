import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { cursorFromWire, cursorToWire, type ListOrder } from '../src/core/cursor-wire.ts'
import { parseJson } from '../src/core/json.ts'
import { readEvent } from '../src/core/read-event.ts'
import { namespace } from '../src/core/uuid.ts'
import { smallestEvent } from './support/wire-events.ts'
import { fixedLimits, wireLimits } from './support/wire-reference.ts'

const page = readFileSync('docs/wire.md', 'utf8')
const limits = { maxEventBytes: 65_536, maxSkewS: 600 }
const hop = { receivedAt: '2026-03-01T12:00:05.000000Z' }

/** The verdict of the first door on the text of an event. */
const read = (event: object) => readEvent(parseJson(JSON.stringify(event)), hop, limits)
const sent = smallestEvent

describe('docs/wire.md', () => {
  test('takes the smallest event there is, and the largest key', () => {
    assert.equal(read(sent()).ok, true)
    assert.equal(read({ ...sent(), idempotency_key: 'k'.repeat(128) }).ok, true)
    assert.equal(read({ ...sent(), idempotency_key: 'k'.repeat(129) }).ok, false)
  })

  for (const [name, { most, event, field }] of Object.entries(fixedLimits)) {
    test(`keeps the limit that it states: ${name}, ${most}`, () => {
      assert.ok(
        page.includes(
          wireLimits()
            .find((row) => row[0] === name)!
            .join(' | '),
        ),
      )
      assert.equal(read(event(most)).ok, true)
      const over = read(event(most + 1))
      assert.equal(over.ok, field === undefined)
      if (over.ok) assert.equal(over.truncated, true)
      else assert.equal(over.field.startsWith(field ?? ''), true, over.field)
    })
  }

  test('names the namespace of keys', () => {
    assert.ok(page.includes(`\`${namespace}\``))
  })

  test('has an example of a cursor, which is made and read as it says', () => {
    const [, text = '', cursor = ''] =
      /cursor: checked.*-->\n\n```\n(.+)\n(.+)\n```/.exec(page) ?? []
    const [, time, order, at = '', id = ''] = /^1 (\w+) (\w+) (\S+)\/(\S+)$/.exec(text) ?? []
    const list = { time, order } as ListOrder
    assert.equal(cursorToWire({ at, id }, list), cursor)
    assert.deepEqual(cursorFromWire(cursor), { at, id, time: 'started', order: 'desc' })
  })

  test('gives each site id and traceparent the form that it states', () => {
    for (const site_id of ['a', 'fab-1.x_Y', 's'.repeat(64)]) {
      assert.equal(read({ ...sent(), site_id }).ok, true, site_id)
    }
    for (const site_id of ['', '.', '..', 'a b', 'a/b', 's'.repeat(65)]) {
      assert.equal(read({ ...sent(), site_id }).ok, false, site_id)
    }
    const traceparent = `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01`
    assert.equal(read({ ...sent(), traceparent }).ok, true)
    assert.equal(read({ ...sent(), traceparent: traceparent.toUpperCase() }).ok, false)
    const source = { id: 's', epoch: 'e', seq: 1 }
    assert.equal(read({ ...sent(), source }).ok, false)
    assert.equal(read({ ...sent(), source, received_at: hop.receivedAt }).ok, true)
  })

  test('corrects a clock at the limit that it states, and not below it', () => {
    const [at, ahead] = ['2026-03-01T12:10:05Z', '2026-03-01T12:10:05.000001Z']
    const taken = read(sent({ at }))
    const corrected = read(sent({ at: ahead }))
    assert.ok(taken.ok && corrected.ok)
    assert.deepEqual([taken.corrected, corrected.corrected], [false, true])
    assert.equal(corrected.event.event.at, hop.receivedAt)
    assert.equal(corrected.event.event.reported_at, ahead)
  })

  const headings = [...page.matchAll(/^## (\d+)\. (.+)$/gm)].map(([, number]) => Number(number))

  test('numbers its sections without gaps, and lists them at its top', () => {
    assert.deepEqual(
      headings,
      headings.map((_, i) => i + 1),
    )
    const listed = [...page.matchAll(/^\d+\. \[(.+)\]\(#(.+)\)$/gm)].map(([, title]) => title)
    const titles = [...page.matchAll(/^## \d+\. (.+)$/gm)].map(([, title]) => title)
    assert.deepEqual(listed, titles)
  })

  // An applied migration never changes, not even a comment: databases keep its checksum.
  const frozen = join('sql', 'migrations')

  test('is cited by section, and by one that exists', () => {
    const files = ['src', 'views', 'sql', 'test', 'bench'].flatMap((folder) =>
      readdirSync(folder, { recursive: true, encoding: 'utf8' })
        .filter((name) => /\.(tsx?|sql)$/.test(name))
        .map((name) => join(folder, name))
        .filter((file) => file !== 'test/wire.test.ts' && !file.includes('wire-reference'))
        .filter((file) => !file.startsWith(frozen)),
    )
    let cited = 0
    for (const file of files) {
      for (const [line, section] of readFileSync(file, 'utf8').matchAll(
        /wire\.md(?!['"])(?:, section (\d+))?.*/g,
      )) {
        cited++
        assert.ok(headings.includes(Number(section)), `${file}: ${line} names no section`)
      }
    }
    assert.ok(cited > 5, `cited ${cited} times`)
  })
})
