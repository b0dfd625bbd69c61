import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { withoutComments } from './support/import-rules.ts'
import { type Text, turns, turnsIn } from './support/turns.ts'

const linesOf = (file: string, content: string): Text[] =>
  content.split('\n').map((text, index) => ({ file, line: index + 1, text }))

const namesIn = (folder: string, pattern: RegExp) =>
  readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => pattern.test(name))
    .map((name) => join(folder, name))

/** The code of the program without comments: its texts are the only prose in it. */
const said = ['src', 'views']
  .flatMap((folder) => namesIn(folder, /\.tsx?$/))
  .flatMap((file) => linesOf(file, withoutComments(readFileSync(file, 'utf8'))))

const pages = [...namesIn('docs', /\.md$/), 'README.md', 'CONTRIBUTING.md', 'CHANGELOG.md'].flatMap(
  (file) => linesOf(file, readFileSync(file, 'utf8')),
)

describe('the English', () => {
  test('of the program has none of the turns of the table', () => {
    assert.ok(said.length > 10_000, `only ${said.length} lines`)
    assert.deepEqual(turnsIn(said), [])
  })

  test('of the documentation has none of the turns of the table', () => {
    assert.ok(pages.length > 1000, `only ${pages.length} lines`)
    assert.deepEqual(turnsIn(pages), [])
  })

  const planted = [
    'Most rows in the answer.',
    'nobody listens to it',
    'this is no HTTP request',
    'Resume behind this id',
    'a new token counts at once',
    'told of every commit',
    'the reader goes on where it stood',
    'As a rule the lot.',
    'how each site fared',
    'delivery failed, will be repeated',
    'Contained in the name, whatever its case.',
    '| Whether it was known before. |',
    'a list of words, comma between',
    'Begin of the window',
    '`--insecure` says no.',
    'what waits in the sidecar',
    'the log tells how many were lost',
    'a site that is not heard',
    'numbers without holes',
    'refuses the event for good',
    'NDJSON with an event a line',
    'the volume has no space; make room',
  ]
  for (const text of planted) {
    test(`is caught when planted: ${text}`, () => {
      assert.equal(turnsIn([{ file: 'a.ts', line: 1, text: ` ${text}` }]).length > 0, true)
    })
  }

  test('may use the same words where they are right', () => {
    const right = [
      'no longer',
      'it is no longer read',
      'the spool is full',
      'a proxy behind the door',
    ]
    assert.deepEqual(turnsIn(linesOf('a.ts', right.join('\n'))), [])
    assert.ok(turns.length > 10)
  })
})
