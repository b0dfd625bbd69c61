import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { describe, test } from 'node:test'
import { calls, findUnknown, readers, written } from './support/written-files.ts'

/* A name that is new on a disk needs a test of what a full disk does under it. */

const src = resolve(import.meta.dirname, '../src')
const sources = readdirSync(src, { recursive: true, encoding: 'utf8' })
  .filter((name) => /\.m?ts$/.test(name))
  .sort()

/** Calls that give a name to something. */
const naming = [
  ...[
    'writeFileSync',
    'appendFileSync',
    'openSync',
    'createWriteStream',
    'mkdirSync',
    'mkdtempSync',
  ],
  ...['symlinkSync', 'linkSync', 'copyFileSync', 'cpSync', 'renameSync'],
  ...['writeFile', 'appendFile', 'open', 'mkdir', 'mkdtemp', 'symlink', 'link', 'copyFile', 'cp'],
  ...['rename', 'writeDurably', 'Database'],
]

/** How often a file makes one of these calls, of those that it imports. */
function countCalls(file: string): number {
  const text = readFileSync(join(src, file), 'utf8')
  const imports = [...text.matchAll(/import (?!type)(.*?) from '(.*?)'/gs)]
    .filter(([, , from = '']) => /^node:fs|better-sqlite3$|durable-file\.ts$/.test(from))
    .flatMap(([, names = '']) => names.match(/\w+/g) ?? [])
  const found = naming.filter((name) => imports.includes(name))
  const calls = found.map((name) => text.match(new RegExp(`(?<![.\\w])${name}\\(`, 'g')) ?? [])
  return calls.flat().length
}

describe('every name that is written', () => {
  test('has a test of a full disk under it', () => {
    for (const { name, test } of written) {
      const [file, title] = test
      const text = readFileSync(resolve(import.meta.dirname, '..', file), 'utf8')
      assert.ok(text.includes(title), `${name}: ${file} has no test with "${title}"`)
    }
  })

  test('is in the table, and so is each call that gives one', () => {
    const found = Object.fromEntries(
      sources.map((file) => [file, countCalls(file)] as const).filter(([, calls]) => calls > 0),
    )
    assert.deepEqual(found, calls, 'what was added needs a line in support/written-files.ts')
    const writers = new Set(written.flatMap(({ by }) => by))
    assert.deepEqual(
      [...writers].sort(),
      Object.keys(calls).filter((file) => !readers.includes(file)),
    )
  })

  test('is known by its pattern, and no other is', () => {
    const names = ['spool/spool.db', 'spool/source-id.partial', 'archive/a/b', 'logs/sidecar.log.1']
    assert.deepEqual(findUnknown(names), [])
    const others = ['spool/spool.db2', 'spool/damaged-1/notes', 'logs', 'log', 'xspool/ballast']
    assert.deepEqual(
      findUnknown(others),
      others.filter((name) => name !== 'logs'),
    )
  })
})
