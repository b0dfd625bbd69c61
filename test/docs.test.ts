import assert from 'node:assert/strict'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { namespace } from '../src/core/uuid.ts'
import { knownSettings } from '../src/roles/settings.ts'
import { planSteps } from '../src/tools/replay/events.ts'
import { readRecords } from '../src/tools/replay/records.ts'
import { freshFolder } from './support/processes.ts'
import { differences, readReference } from './support/reference.ts'
import { allReferences } from './support/references.ts'

const all = await allReferences()

/** Variables that something other than a role reads, or that nothing reads yet. */
const others = [
  'FUZZ_FACTOR',
  'XDG_STATE_HOME',
  'WAFERMON_CONFIG',
  'NODE_EXTRA_CA_CERTS',
  'OTEL_EXPORTER_OTLP_ENDPOINT',
  'OTEL_EXPORTER_OTLP_HEADERS',
  'OTEL_SERVICE_NAME',
  'OTEL_RESOURCE_ATTRIBUTES',
]

describe('the reference', () => {
  for (const { file, name, rows, least = 11 } of all) {
    const text = readFileSync(file, 'utf8')

    test(`of ${name} in ${file} says what is, and nothing else`, () => {
      const wrong = differences(readReference(text, name), rows)
      assert.deepEqual(wrong, [], 'npm run docs brings it up to date')
      const count = [...rows.values()].flat().length
      assert.ok(count >= least, `only ${count} rows`)
    })

    test(`of ${name} in ${file} has words in every cell, and no value that has no text`, () => {
      const cells = [...rows.values()].flat(2)
      assert.deepEqual(
        cells.filter((cell) => /\[object |\b(undefined|NaN)\b|\bany\b$/.test(cell)),
        [],
      )
    })

    test(`of ${name} would be caught with a row missing, wrong, or too many`, () => {
      const [title, some] = [...rows].find(([, own]) => own.length > 0)!
      const row = `| ${some[0]!.join(' | ')} |`
      assert.ok(text.includes(row), row)
      const check = (changed: string) => differences(readReference(changed, name), rows)
      assert.match(check(text.replace(`${row}\n`, ''))[0] ?? '', /is not documented$/)
      const wrong = row.replace(/ \|$/, ' and more |')
      assert.match(
        check(text.replace(row, wrong))[0] ?? '',
        new RegExp(`^${escaped(title)}: .* is `),
      )
      const extra = row.replace(/^\| (?:\\.|[^|\\])+ \|/, '| `PLANTED` |')
      assert.match(
        check(text.replace(row, `${row}\n${extra}`))[0] ?? '',
        /`PLANTED` is documented, and does not exist$/,
      )
    })
  }
})

const escaped = (text: string) => text.replaceAll(/[^\w ]/g, '\\$&')

describe('the words of docs/', () => {
  const { names, notReadYet } = knownSettings
  const known = new Set([...names, ...others, ...notReadYet])

  test('name every variable that is not supported yet', () => {
    const text = readFileSync('docs/configuration.md', 'utf8')
    const start = text.indexOf('Known, but not supported yet')
    const paragraph = text.slice(start, text.indexOf('\n\n', start))
    const named = [...paragraph.matchAll(/`([A-Z0-9_]+)`/g)].map(([, name]) => name)
    assert.deepEqual(named, notReadYet)
  })

  const pages = readdirSync('docs').filter((name) => name.endsWith('.md'))
  const files = ['README.md', 'CONTRIBUTING.md', 'CHANGELOG.md', ...pages.map((p) => `docs/${p}`)]
  for (const file of files) {
    test(`name no setting that does not exist: ${file}`, () => {
      const named = [
        ...readFileSync(file, 'utf8').matchAll(/`([A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+)(?:=[^`]*)?`/g),
      ]
      assert.deepEqual(
        named.map(([, name]) => name!).filter((name) => !known.has(name)),
        [],
      )
    })
  }

  test('name the namespace that keys become UUIDs in', () => {
    assert.ok(readFileSync('docs/wire.md', 'utf8').includes(`\`${namespace}\``))
  })

  test('give an example of an answer of central that adds up', () => {
    const found =
      /\{ "sites":[\s\S]*?\n\] \} \}/.exec(readFileSync('docs/api.md', 'utf8'))?.[0] ?? ''
    const { sites } = JSON.parse(found)
    const { total, successful, partial, failed, skipped, details } = sites
    assert.equal(successful + partial + failed + skipped, total)
    assert.equal(details.length, total)
  })
})

/** The rows of the tables under a heading, the heads and the lines under them left out. */
function tableUnder(text: string, heading: string): string[][] {
  const part = text.slice(text.indexOf(heading) + heading.length).split('\n## ')[0]!
  return part
    .split('\n')
    .filter((line) => line.startsWith('| '))
    .slice(1)
    .map((line) => line.slice(2, -2).split(' | '))
}

describe('the dependencies of the docs', () => {
  const text = readFileSync('docs/dependencies.md', 'utf8')
  const listed = (heading: string) =>
    tableUnder(text, heading).flatMap(([names]) => names!.replaceAll(/ \([^)]*\)/g, '').split(', '))
  const { dependencies, optionalDependencies, devDependencies } = JSON.parse(
    readFileSync('package.json', 'utf8'),
  ) as Record<string, Record<string, string>>

  test('are those that are shipped', () => {
    const shipped = Object.keys({ ...dependencies, ...optionalDependencies })
    assert.deepEqual(listed('## Shipped\n').sort(), shipped.sort())
  })

  test('are those of the development', () => {
    const names = Object.keys(devDependencies!)
    assert.deepEqual(listed('## Development only\n').sort(), names.sort())
  })
})

describe('the records of docs/commands.md', () => {
  const text = readFileSync('docs/commands.md', 'utf8')
  const lines = /```json\n([\s\S]*?)```/.exec(text)![1]!.trim().split('\n')
  const fields = [...text.matchAll(/^\| `(\w+)` \| .*? \| (yes|no) \|/gm)]
  const whole = JSON.parse(lines[0]!) as Record<string, unknown>

  async function read(records: readonly string[]) {
    const file = join(freshFolder(), 'records.ndjson')
    writeFileSync(file, records.join('\n'))
    const bad: string[] = []
    return { records: await readRecords(file, ({ why }) => bad.push(why)), bad }
  }

  test('are read, and start and end both', async () => {
    const { records, bad } = await read(lines)
    assert.deepEqual([records.length, bad], [2, []])
    assert.equal(planSteps(records).steps.length, 4)
  })

  test('have the fields of the table, and need those that it marks', async () => {
    assert.deepEqual(fields.map(([, name]) => name).sort(), Object.keys(whole).sort())
    const { records } = await read(lines)
    assert.deepEqual(Object.keys(records[0]!).sort(), Object.keys(whole).sort())
    for (const [, name, needed] of fields) {
      // Of one that runs: one that ended needs its end.
      const { bad } = await read([JSON.stringify({ ...whole, status: 'running', [name!]: null })])
      assert.equal(bad.length, needed === 'yes' ? 1 : 0, name)
    }
  })
})
