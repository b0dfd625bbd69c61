import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { before, describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { format } from './house/format.ts'
import { migration } from './house/migration.ts'
import { page } from './house/page.ts'
import { place } from './house/place.ts'
import { question } from './house/question.ts'
import { setting } from './house/setting.ts'
import { sink } from './house/sink.ts'
import { Copy, withSources } from './planted/copy.ts'
import type { Outcome } from './planted/run-tests.ts'
import {
  type Addition,
  addToList,
  addUnlisted,
  broken,
  readPromises,
  type Sources,
} from './support/house.ts'

const root = fileURLToPath(new URL('..', import.meta.url))

type Tried = {
  addition: Addition
  /** Maximum other files that CONTRIBUTING may ask for. */
  allowed: number
  /** What its probe says when it is not in its list. */
  unlisted?: RegExp
}

const additions: readonly Tried[] = [
  { addition: sink, allowed: 0, unlisted: /sink kept: type: there is no fixture/ },
  { addition: page, allowed: 1, unlisted: /404 !== 200/ },
  { addition: question, allowed: 2, unlisted: /a question named fixture is listed/ },
  { addition: setting, allowed: 0 },
  { addition: format, allowed: 0, unlisted: /there is no format fixture/ },
  { addition: migration, allowed: 0 },
  { addition: place, allowed: 0, unlisted: /'ARCHIVE_DIR'\s.*'FIXTURE_PLACE'/s },
]

const promises = readPromises(readFileSync(`${root}CONTRIBUTING.md`, 'utf8'))
const promiseOf = (thing: string) =>
  promises.find((promised) => promised.thing === thing) ??
  assert.fail(`CONTRIBUTING does not say how to add ${thing}`)

describe('the table of CONTRIBUTING', () => {
  test('has each thing that is tried, and no other', () => {
    const tried = additions.map(({ addition }) => addition.thing)
    assert.deepEqual(promises.map(({ thing }) => thing).sort(), tried.sort())
  })

  for (const { addition, allowed } of additions) {
    test(`says where to write and list ${addition.thing}, and how many other files change`, () => {
      const promised = promiseOf(addition.thing)
      assert.deepEqual(broken(addition, promised), [])
      assert.ok(promised.others <= allowed, `${promised.others} are over ${allowed}`)
    })
  }

  const further = { 'src/main.ts': [{ find: 'a', replace: 'b' }] }
  const wrong: [string, Addition, RegExp][] = [
    ['one more file', { ...sink, others: further }, /changes 1 other files, not 0: src\/main\.ts/],
    ['two more files', { ...page, others: { ...page.others, ...further } }, /changes 2 .*, not 1/],
    ['a file elsewhere', { ...sink, written: { ...sink.written, 'src/a.ts': '' } }, /src\/a\.ts/],
    ['a page without a view', { ...page, written: omit(page, 'views') }, /not .* in views\/pages/],
    ['an edit for a new file', { ...setting, written: further }, /written in src\/main\.ts/],
    ['a new file for a line', { ...setting, written: { 'src/x/settings.ts': '' } }, /not named/],
    ['another list', { ...sink, list: { file: 'src/main.ts', edits: [] } }, /listed in src\/main/],
    ['a list that is not named', { ...migration, list: sink.list! }, /listed in src\/sinks/],
    ['no list', { thing: sink.thing, written: sink.written }, /listed in no file/],
  ]
  for (const [what, addition, expected] of wrong) {
    test(`would not let this pass: ${what}`, () => {
      assert.match(broken(addition, promiseOf(addition.thing)).join('\n'), expected)
    })
  }
})

function omit({ written }: Addition, folder: string): Addition['written'] {
  return Object.fromEntries(Object.entries(written).filter(([file]) => !file.startsWith(folder)))
}

describe('an addition', () => {
  /** Files in memory. */
  const sources = (files: Record<string, string>): Sources => ({
    has: (file) => file in files,
    read: (file) => files[file] ?? '',
    write: (file, text) => {
      files[file] = text
    },
  })

  test('does not replace a file that exists', () => {
    const addition = { thing: 'a thing', written: { 'src/a.ts': 'new' } }
    assert.throws(() => addUnlisted(sources({ 'src/a.ts': 'old' }), addition), /exists already/)
  })

  for (const [text, message] of [
    ['[b]', /is gone in list\.ts/],
    ['[a, a]', /is there 2 times in list\.ts/],
  ] as const) {
    test(`is refused by a list that reads ${text}`, () => {
      const list = { file: 'list.ts', edits: [{ find: 'a', replace: 'a, c' }] }
      const addition = { thing: 'a thing', written: {}, list }
      assert.throws(() => addToList(sources({ 'list.ts': text }), addition), message)
    })
  }
})

/** What the repository asks of every sink, page, question, setting and import. */
const suites = ['docs', 'imports', 'links', 'questions', 'sinks/open', 'dashboard/pages'].map(
  (name) => `test/${name}.test.ts`,
)
const probes = 'test/house/probes.ts'

describe('a copy of the sources', () => {
  const all = additions.map(({ addition }) => addition)
  /** What became of the tests before anything was listed, and after it. */
  let bare: Outcome[]
  let listed: Outcome[]
  let types: string

  before(async () => {
    const copy = new Copy(process.env.TEST_DATABASE_URL ?? '')
    for (const addition of all) addUnlisted(copy, addition)
    bare = await copy.runFiles([probes])
    for (const addition of all) addToList(copy, addition)
    const checking = checkTypes(copy)
    const { code, printed } = await copy.run([...withSources, 'test/support/write-reference.ts'])
    assert.equal(code, 0, printed)
    listed = await copy.runFiles([probes, ...suites])
    types = await checking
  })

  const failed = (found: readonly Outcome[]) =>
    found.filter(({ result }) => result !== 'passed').map(({ name, why }) => `${name}: ${why}`)
  const probesOf = (found: readonly Outcome[], thing: string) => {
    const own = found.filter(({ name }) => /^(?: >|:)/.test(name.replace(thing, '')))
    assert.ok(own.length > 1, `there are no probes of ${thing}`)
    return own
  }

  test('has no error of types', () => assert.equal(types, ''))

  for (const { addition, unlisted } of additions) {
    const { thing } = addition
    test(`has ${thing} that works`, () => assert.deepEqual(failed(probesOf(listed, thing)), []))

    if (unlisted) {
      test(`lacks ${thing} as long as it is not listed`, () => {
        assert.match(failed(probesOf(bare, thing)).join('\n'), unlisted)
      })
    }
  }

  test('passes the tests of imports, documentation, questions, sinks and pages', () => {
    assert.deepEqual(failed(listed), [])
    const names = listed.map(({ name }) => name)
    for (const name of [
      'imports > point down the layers everywhere',
      'import cycles > are nowhere, types included',
      'the reference > of settings in docs/configuration.md says what is, and nothing else',
      'the question about fixture > is answered by a site over HTTP as by its reader',
      'the list of kinds > names each once, and describes each setting',
      'a page while the API is away > says so at /fixture, then recovers',
    ]) {
      assert.ok(names.includes(name), name)
    }
  })
})

/** What the compiler says about src and views of a copy; nothing when all is well. */
async function checkTypes(copy: Copy): Promise<string> {
  const settings = { extends: './tsconfig.json', include: ['src', 'views'] }
  copy.write('tsconfig.house.json', JSON.stringify(settings))
  const args = [`${root}node_modules/.bin/tsc`, '--noEmit', '-p', copy.path('tsconfig.house.json')]
  // From our own folder: what runs in the copy is ended with the tests that run there.
  return new Promise((done) => {
    execFile(process.execPath, args, { cwd: root }, (error, stdout, stderr) =>
      done(error ? stdout + stderr + error.message : stdout),
    )
  })
}
