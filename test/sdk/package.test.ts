import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdirSync, readdirSync, readFileSync, realpathSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { delimiter, join } from 'node:path'
import { before, describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import type { WireEvent } from '../../src/sdk/event.ts'
import { type FakeSidecar, fakeSidecar } from '../support/fake-sidecar.ts'
import { freshFolder } from '../support/processes.ts'

/* `wafermon/sdk` as another project gets it: packed, unpacked, compiled, run. */

const run = promisify(execFile)
const root = fileURLToPath(new URL('../..', import.meta.url))
const tsc = join(createRequire(import.meta.url).resolve('typescript/package.json'), '../bin/tsc')

/** The largest that the SDK may be, minified, in bytes. */
const maxBytes = 16_000

const esm = `
import { type Emitter, type JobOptions, currentJob, flush, monitored, SidecarEmitter, startJob, wrap } from 'wafermon/sdk'

const options: JobOptions = { app: { name: 'typed', version: '1.2.3' }, siteId: 'fab1', businessKey: 'esm' }
const value: number = await monitored(options, async (job) => {
  job.tick({ progress: 0.5, metadata: { tool: 'SCN-05' } })
  const wafer: string = await job.subjob({ subKey: 'W01' }, async (part) => {
    part.metric('cd_mean_nm', 38.14)
    return currentJob()?.id ?? 'none'
  })
  return wafer.length
})
{
  await using job = startJob(options)
  job.finish({ value })
}
const add = wrap(options, (a: number, b: number) => a + b)
const three: number = add(1, 2)
const emitter: Emitter = new SidecarEmitter({ timeoutMs: 1000, maxRetries: three, enableRetries: true })
startJob({ ...options, emitter }).cancel('enough')
await (emitter as SidecarEmitter).close()
const all: boolean = await flush()
if (!all) throw new Error('not delivered')

// @ts-expect-error a number is not an app
void (() => monitored({ app: 5 }, () => {}))
// @ts-expect-error a metric is a number
void (() => startJob({}).metric('a', 'b'))
// @ts-expect-error there is no such option
void (() => new SidecarEmitter({ baseURL: 'x' }))
// @ts-expect-error the types of the function that is wrapped are kept
void (() => add('1', 2))
`

const cts = `
import sdk = require('wafermon/sdk')

const options: sdk.JobOptions = { app: 'typed', siteId: 'fab1', businessKey: 'cts' }
async function main(): Promise<void> {
  const text: string = await sdk.monitored(options, async (job: sdk.Job) => {
    job.subjob('W01').finish()
    return job.id
  })
  const stats: sdk.EmitterStats = sdk.defaultEmitter().stats
  if (stats.droppedEvents > 0) throw new Error(text)
  await sdk.flush()
}
void main()
// Both ways of loading declare the same.
type Esm = keyof typeof import('wafermon/sdk', { with: { 'resolution-mode': 'import' } })
const missing: [Exclude<Esm, keyof typeof sdk>] extends [never] ? true : false = true
void missing
// @ts-expect-error a metric is a number
void (() => sdk.startJob({}).metric('a', 'b'))
`

const cjs = `
const { monitored, startJob, flush } = require('wafermon/sdk')
monitored({ app: 'plain', siteId: 'fab1', businessKey: 'cjs' }, () => { startJob({ subKey: 'W01' }).finish() })
  .then(() => flush())
`

/** A program, and a library of it that still uses \`require\`: one process, two copies of the SDK. */
const both = `
import { createRequire } from 'node:module'
import { monitored } from 'wafermon/sdk'
const other = createRequire(import.meta.url)('wafermon/sdk')
await monitored({ app: 'plain', siteId: 'fab1', businessKey: 'both' }, async (job) => {
  await new Promise((done) => setTimeout(done, 1))
  if (other.currentJob() !== job || other.monitored === monitored) throw new Error('not two copies')
  await other.monitored({ subKey: 'W01' }, () => {})
})
`

const settings = {
  strict: true,
  module: 'nodenext',
  target: 'es2022',
  lib: ['es2022'],
  types: [],
  skipLibCheck: false,
  exactOptionalPropertyTypes: true,
}

/** A project that has nothing but the packed wafermon in its node_modules. */
async function consumer(): Promise<string> {
  const folder = freshFolder()
  const home = join(folder, 'node_modules/wafermon')
  mkdirSync(home, { recursive: true })
  const packed = await run('npm', ['pack', '--json', '--pack-destination', folder], { cwd: root })
  const [{ filename }] = JSON.parse(packed.stdout) as [{ filename: string }]
  await run('tar', ['xzf', join(folder, filename), '-C', home, '--strip-components', '1'])
  const files = {
    'package.json': '{ "type": "module" }',
    'tsconfig.json': JSON.stringify({ compilerOptions: settings, files: ['esm.ts', 'cts.cts'] }),
    ...{ 'esm.ts': esm, 'cts.cts': cts, 'cjs.cjs': cjs, 'both.mjs': both },
  }
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text)
  return folder
}

/** Every Node.js on this machine that the SDK is for, this one included. */
async function everyNode(): Promise<{ path: string; version: string }[]> {
  const folders = [...(process.env.PATH ?? '').split(delimiter), '/usr/bin', '/usr/local/bin']
  const named = folders.map((folder) => join(folder, 'node'))
  const paths = new Set([process.execPath, ...named].flatMap((path) => realPath(path) ?? []))
  const found = await Promise.all(
    [...paths].map(async (path) => {
      const { stdout } = await run(path, ['-p', 'process.versions.node'])
      return { path, version: stdout.trim() }
    }),
  )
  const byVersion = new Map(found.map((one) => [one.version, one]))
  return [...byVersion.values()].filter(({ version }) => Number.parseInt(version, 10) >= 20)
}

function realPath(path: string): string | undefined {
  try {
    return realpathSync(path)
  } catch {
    return undefined
  }
}

/** The events of a job and its subjob, in the words that matter. */
const said = ({ events }: FakeSidecar, key: string) =>
  events
    .filter(({ entity }) => entity.business_key === key)
    .map(({ entity, event }) => `${entity.sub_key ?? entity.type} ${event.kind}`)
    .sort()

const partOf = (events: readonly WireEvent[], key: string) => {
  const own = events.filter(({ entity }) => entity.business_key === key)
  const job = own.find(({ entity }) => entity.type === 'job')
  const part = own.find(({ entity }) => entity.sub_key === 'W01')
  return { parent: part?.entity.parent_id, job: job?.entity.id }
}

const plain = ['W01 finished', 'W01 started', 'job finished', 'job started']

describe('wafermon/sdk as a package', () => {
  let folder: string
  before(async () => {
    folder = await consumer()
  })

  test('compiles strictly, by import and by require, without other types', async () => {
    const { stdout } = await run(process.execPath, [tsc, '-p', folder]).catch(
      (failed: { stdout: string }) => failed,
    )
    assert.equal(stdout, '')
  })

  test('runs on every Node.js from 20 on that is here, loaded in every way', async (t) => {
    for (const { path, version } of await everyNode()) {
      const sidecar = await fakeSidecar(t)
      const env = { SIDECAR_URL: sidecar.url }
      const start = (file: string) => run(path, [join(folder, file)], { env })
      const ended = ['esm.js', 'cts.cjs', 'cjs.cjs', 'both.mjs'].map(start)
      for (const { stdout, stderr } of await Promise.all(ended)) {
        assert.deepEqual([stdout, stderr], ['', ''], version)
      }
      for (const key of ['cts', 'cjs', 'both']) {
        assert.deepEqual(said(sidecar, key), plain, `${key} on ${version}`)
        const { parent, job } = partOf(sidecar.events, key)
        assert.equal(parent, job, `${key} on ${version}`)
      }
      const kinds = said(sidecar, 'esm')
      assert.equal(kinds.filter((kind) => kind === 'job started').length, 4, version)
      for (const kind of ['W01 metric', 'job progress', 'job canceled']) {
        assert.ok(kinds.includes(kind), `${kind} on ${version}`)
      }
    }
  })

  test('is a package of its own as well, without dependencies, on every Node.js', async (t) => {
    const project = freshFolder()
    const pack = ['pack', './dist/sdk', '--json', '--pack-destination', project]
    const [{ filename }] = JSON.parse((await run('npm', pack, { cwd: root })).stdout)
    writeFileSync(join(project, 'package.json'), '{ "name": "my-program", "private": true }')
    const install = ['install', '--offline', '--no-audit', '--no-fund', `./${filename}`]
    await run('npm', install, { cwd: project })
    assert.deepEqual(
      readdirSync(join(project, 'node_modules')).filter((name) => !name.startsWith('.')),
      ['wafermon'],
    )
    writeFileSync(join(project, 'cjs.cjs'), cjs)
    writeFileSync(join(project, 'both.mjs'), both)
    for (const { path, version } of await everyNode()) {
      const sidecar = await fakeSidecar(t)
      for (const file of ['cjs.cjs', 'both.mjs']) {
        const env = { SIDECAR_URL: sidecar.url }
        const { stdout, stderr } = await run(path, [join(project, file)], { env })
        assert.deepEqual([stdout, stderr], ['', ''], version)
        assert.deepEqual(said(sidecar, file.slice(0, -4)), plain, `${file} on ${version}`)
      }
    }
  })

  test('is small, and brings nothing of the server along', () => {
    const sdk = join(folder, 'node_modules/wafermon/dist/sdk')
    for (const name of ['index.js', 'index.cjs']) {
      const text = readFileSync(join(sdk, name), 'utf8')
      assert.ok(text.length < maxBytes, `${name} has ${text.length} bytes`)
      const loads = [...text.matchAll(/(?:from|require\(|import\()\s*"([^"]+)"/g)]
      const wanted = ['node:async_hooks', 'node:crypto', 'node:fs', 'node:http', 'node:https']
      assert.deepEqual([...new Set(loads.map(([, from]) => from))].sort(), wanted)
    }
    const code = readdirSync(sdk).filter((name) => /\.[cm]?js$/.test(name))
    assert.deepEqual(code.sort(), ['index.cjs', 'index.js'])
  })

  test('holds every file that its exports name, and no sources', () => {
    const home = join(folder, 'node_modules/wafermon')
    const { exports } = JSON.parse(readFileSync(join(home, 'package.json'), 'utf8'))
    const { import: esm, require: cjs } = exports['./sdk']
    for (const file of [esm.types, esm.default, cjs.types, cjs.default]) {
      assert.ok(readFileSync(join(home, file), 'utf8').length > 0)
    }
    const other = readdirSync(home).filter((name) => name !== 'dist')
    assert.deepEqual(other.sort(), ['CHANGELOG.md', 'LICENSE', 'README.md', 'package.json'])
  })
})
