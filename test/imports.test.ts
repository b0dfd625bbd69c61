import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { importCycles } from './support/import-cycles.ts'
import {
  clocks,
  clockViolations,
  importsOf,
  importViolations,
  packagesLoadedBy,
} from './support/import-rules.ts'

const root = fileURLToPath(new URL('..', import.meta.url))

/** All of our source. Declarations of modules import nothing. */
const files = ['src', 'views'].flatMap((folder) =>
  readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => /\.tsx?$/.test(name) && !name.endsWith('.d.ts'))
    .map((name) => join(folder, name))
    .map((path) => ({ path, text: readFileSync(join(root, path), 'utf8') })),
)

const judge = (path: string, text: string) => importViolations([{ path, text }])

describe('imports', () => {
  test('point down the layers everywhere', () => {
    assert.ok(files.length > 50, `only ${files.length} files were found`)
    assert.ok(files.flatMap(({ text }) => importsOf(text)).length > files.length)
    assert.deepEqual(importViolations(files), [])
  })

  const planted: [string, string, string, RegExp][] = [
    ['up a layer', 'src/core/a.ts', `import { b } from '../store/b.ts'`, /from src\/store/],
    ['types up a layer', 'src/store/a.ts', `import type { B } from '../api/b.ts'`, /src\/api/],
    [
      'inline types up a layer',
      'src/core/a.ts',
      `import { type B } from '../api/b.ts'`,
      /src\/api/,
    ],
    ['a later role', 'src/platform/a.ts', `const b = await import('../roles/b.ts')`, /src\/roles/],
    ['a type by import()', 'src/core/a.ts', `type B = import('../spool/b.ts').B`, /src\/spool/],
    ['an effect', 'src/core/a.ts', `import '../platform/b.ts'`, /src\/platform/],
    ['another feature', 'src/api/a.ts', `import { b } from '../spool/b.ts'`, /src\/spool/],
    ['another feature for re-export', 'src/sinks/a.ts', `export * from '../alerts/b.ts'`, /alerts/],
    ['types for re-export', 'src/api/a.ts', `export type { B } from '../sites/b.ts'`, /sites/],
    ['over several lines', 'src/api/a.ts', `import {\n  a,\n  b,\n} from '../spool/b.ts'`, /spool/],
    ['views that fetch', 'views/a.tsx', `import { b } from '../src/platform/b.ts'`, /platform/],
    ['tools into the store', 'src/tools/a.ts', `import { b } from '../store/b.ts'`, /src\/store/],
    ['the SDK into core', 'src/sdk/a.ts', `import { b } from '../core/b.ts'`, /only types/],
    ['a role before it is chosen', 'src/main.ts', `import { b } from './roles/b.ts'`, /src\/roles/],
    ['a page into the store', 'src/dashboard/a.ts', `import { b } from '../store/b.ts'`, /store/],
    ['the SDK with a package', 'src/sdk/a.ts', `import * as z from 'zod'`, /must not import zod/],
    ['core with input or output', 'src/core/a.ts', `import fs from 'node:fs'`, /node:fs/],
    ['SQLite abroad', 'src/sinks/a.ts', `import Database from 'better-sqlite3'`, /src\/spool/],
    ['SQLite by require', 'src/api/a.ts', `const d = require('better-sqlite3')`, /src\/spool/],
    ['PostgreSQL abroad', 'src/api/a.ts', `import type { Sql } from 'postgres'`, /src\/store/],
    ['Arrow abroad', 'src/store/a.ts', `import { Table } from 'apache-arrow'`, /src\/archive/],
    ['Parquet abroad', 'src/api/a.ts', `await import('parquet-wasm/esm')`, /src\/archive/],
    ['S3 abroad', 'src/sinks/a.ts', `import { S3 } from "@aws-sdk/client-s3"`, /src\/archive/],
    ['a file in no layer', 'src/helpers/a.ts', '', /lies in no layer/],
  ]
  for (const [what, path, text, expected] of planted) {
    test(`are caught when planted: ${what}`, () => {
      const found = judge(path, text)
      assert.equal(found.length, 1)
      assert.match(found[0] ?? '', expected)
    })
  }

  test('may point down, and types may reach the SDK', () => {
    assert.deepEqual(judge('src/roles/a.ts', `import { b } from '../store/b.ts'`), [])
    assert.deepEqual(judge('src/sdk/a.ts', `import type { B } from '../core/b.ts'`), [])
    assert.deepEqual(judge('src/sdk/a.ts', `import { type B, type C } from '../core/b.ts'`), [])
    assert.deepEqual(judge('src/spool/a.ts', `import Database from 'better-sqlite3'`), [])
  })

  test('may bring a file of core that imports nothing into the SDK', () => {
    const sdk = { path: 'src/sdk/a.ts', text: `import { b } from '../core/b.ts'` }
    const leaf = { path: 'src/core/b.ts', text: 'export const b = 1' }
    const other = { path: 'src/core/b.ts', text: `import type { C } from './c.ts'` }
    assert.deepEqual(importViolations([sdk, leaf]), [])
    assert.match(importViolations([sdk, other]).join(), /imports nothing/)
  })

  test('in a comment or beside an address are no imports', () => {
    const text = `/** import { a } from '../store/a.ts' */\n// import '../store/b.ts'\nconst u = 'http://x'`
    assert.deepEqual(judge('src/core/a.ts', text), [])
  })

  test('of the program load nothing heavy before a command is chosen', () => {
    const heavy = packagesLoadedBy('src/main.ts', files).filter((name) => !/^node:/.test(name))
    assert.deepEqual(heavy, ['commander'])
    assert.ok(packagesLoadedBy('src/roles/sidecar.ts', files).includes('better-sqlite3'))
  })

  test('of the settings load no package of a role', () => {
    const loaded = packagesLoadedBy('src/roles/settings.ts', files)
    assert.deepEqual(
      loaded.filter((name) => !/^node:/.test(name)),
      ['yaml', 'zod'],
    )
  })
})

describe('the time of day', () => {
  test('is read in the files of the clocks alone', () => {
    assert.deepEqual(clockViolations(files), [])
    for (const path of clocks) assert.ok(files.some((file) => file.path === path))
  })

  const planted = [
    'const at = Date.now()',
    'now = Date.now',
    'const at = new Date()',
    'const at = new Date( )',
    'const at = new Date',
    'const text = Date()',
    "const now = Date['now']()",
    'const at = performance.timeOrigin + performance.now()',
    'const { timeOrigin } = performance',
    'const at = Temporal.Now.instant()',
  ]
  for (const text of planted) {
    test(`is caught when planted: ${text}`, () => {
      assert.equal(clockViolations([{ path: 'src/spool/a.ts', text }]).length, 1)
      assert.match(clockViolations([{ path: 'src/sdk/a.ts', text }]).join(), /from src\/sdk\/clock/)
      assert.deepEqual(clockViolations([{ path: 'src/platform/clock.ts', text }]), [])
    })
  }

  test('is not read by a duration, a time that is given, or a comment', () => {
    const text = `const a = performance.now()
      const b = new Date(ms).toISOString() // not Date.now()
      const c = Date.UTC(2026, 0) + Date.parse(text)
      const d: Date = new Date(
        ms,
      )`
    assert.deepEqual(clockViolations([{ path: 'src/core/a.ts', text }]), [])
  })
})

describe('import cycles', () => {
  test('are nowhere, types included', () => {
    assert.deepEqual(importCycles(files), [])
  })

  const file = (path: string, ...targets: string[]) => ({
    path,
    text: targets.map((target) => `import type { A } from '${target}'`).join('\n'),
  })

  test('are found when planted: two files, by types alone', () => {
    const planted = [file('src/core/a.ts', './b.ts'), file('src/core/b.ts', './a.ts')]
    assert.deepEqual(importCycles(planted), [['src/core/a.ts', 'src/core/b.ts']])
  })

  test('are found when planted: over three files and two folders', () => {
    const planted = [
      file('src/api/a.ts', '../core/b.ts'),
      file('src/core/b.ts', './c.ts'),
      file('src/core/c.ts', '../api/a.ts', './d.ts'),
      file('src/core/d.ts'),
    ]
    assert.deepEqual(importCycles(planted), [['src/api/a.ts', 'src/core/b.ts', 'src/core/c.ts']])
  })
})
