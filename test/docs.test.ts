import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { describe, test } from 'node:test'
import { namespace } from '../src/core/uuid.ts'
import { schemas } from '../src/platform/config.ts'
import { notReadYet } from '../src/platform/config-checks.ts'
import { differences, readReference, references } from './support/reference.ts'

const all = await references()

/** Variables that something other than a role reads. */
const others = [
  'WAFERMON_CONFIG',
  'SIDECAR_URL',
  'SIDECAR_TOKEN',
  'NODE_EXTRA_CA_CERTS',
  'OTEL_EXPORTER_OTLP_ENDPOINT',
  'OTEL_EXPORTER_OTLP_HEADERS',
  'OTEL_SERVICE_NAME',
  'OTEL_RESOURCE_ATTRIBUTES',
]

describe('the reference', () => {
  for (const { file, name, rows } of all) {
    const text = readFileSync(file, 'utf8')

    test(`of ${name} in ${file} says what is, and nothing else`, () => {
      const wrong = differences(readReference(text, name), rows)
      assert.deepEqual(wrong, [], 'npm run docs brings it up to date')
      const count = [...rows.values()].flat().length
      assert.ok(count > 10, `only ${count} rows`)
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
      const extra = row.replace(/`[^`]+`/, '`PLANTED`')
      assert.match(
        check(text.replace(row, `${row}\n${extra}`))[0] ?? '',
        /`PLANTED` is documented, and does not exist$/,
      )
    })
  }
})

const escaped = (text: string) => text.replaceAll(/[^\w ]/g, '\\$&')

describe('the words of docs/', () => {
  const known = new Set([
    ...Object.values(schemas).flatMap((schema) => Object.keys(schema.shape)),
    ...others,
    ...notReadYet,
  ])

  test('name every variable that is not read yet', () => {
    const text = readFileSync('docs/configuration.md', 'utf8')
    const start = text.indexOf('Known, but not read yet')
    const paragraph = text.slice(start, text.indexOf('\n\n', start))
    const named = [...paragraph.matchAll(/`([A-Z0-9_]+)`/g)].map(([, name]) => name)
    assert.deepEqual(named, notReadYet)
  })

  for (const file of [
    'docs/configuration.md',
    'docs/security.md',
    'docs/api.md',
    'docs/metrics.md',
    'docs/deployment.md',
  ]) {
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
    assert.ok(readFileSync('docs/api.md', 'utf8').includes(`\`${namespace}\``))
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
