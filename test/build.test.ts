import assert from 'node:assert/strict'
import { execFile, spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { chmodSync, cpSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { text } from 'node:stream/consumers'
import { before, describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { emptyDatabase, freshDatabase } from './support/database.ts'
import { freshFolder, program } from './support/processes.ts'

const root = fileURLToPath(new URL('..', import.meta.url))
const dist = dirname(program)

/** Runs a program from the root of the file system, with nothing of ours in the environment. */
async function run(file: string, args: string[], env: Record<string, string> = {}) {
  const child = spawn(file, args, { cwd: '/', env: { PATH: process.env.PATH ?? '', ...env } })
  const closed = new Promise<number | null>((done) => child.once('close', done))
  const [out, err] = await Promise.all([text(child.stdout), text(child.stderr)])
  return { code: await closed, out, err }
}

/** Name and hash of every file of a folder. */
function contents(folder: string): [string, string][] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => statSync(join(folder, name)).isFile())
    .sort()
    .map((name) => [
      name,
      createHash('sha256')
        .update(readFileSync(join(folder, name)))
        .digest('hex'),
    ])
}

describe('the build', () => {
  test('is a file that can be run as it is', async () => {
    assert.equal(statSync(program).mode & 0o111, 0o111)
    assert.match(readFileSync(program, 'utf8'), /^#!\/usr\/bin\/env node\n/)
  })

  test('gives the same files every time', async () => {
    const again = join(freshFolder(), 'dist')
    const env = { ...process.env, WAFERMON_DIST: again }
    await new Promise<void>((done, failed) => {
      const args = [join(root, 'esbuild.config.mjs')]
      execFile(process.execPath, args, { env }, (error) => (error ? failed(error) : done()))
    })
    assert.deepEqual(contents(again), contents(dist))
  })

  test('holds one SQLite, one Parquet, and what SQL it needs', () => {
    const names = readdirSync(dist, { recursive: true, encoding: 'utf8' })
    assert.equal(names.filter((name) => name.endsWith('.node')).length, 1)
    assert.equal(names.filter((name) => name.endsWith('.wasm')).length, 1)
    const sql = names.filter((name) => name.startsWith('sql/migrations/'))
    assert.deepEqual(sql.sort(), migrations().sort())
  })

  test('brings the licence of every package that is inside', () => {
    const notices = readFileSync(join(dist, 'THIRD-PARTY.txt'), 'utf8')
    const { dependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
    // Fixed for later, and not used yet.
    const inside = Object.keys(dependencies).filter((name) => name !== '@aws-sdk/client-s3')
    for (const name of inside) assert.match(notices, new RegExp(`^${name} \\d`, 'm'), name)
    assert.match(notices, /Permission is hereby granted, free of charge/)
    assert.match(readFileSync(join(dist, 'LICENSE'), 'utf8'), /Apache License/)
  })

  test('loads a role only when it is chosen', () => {
    const entry = readFileSync(program, 'utf8')
    const imports = [...entry.matchAll(/import\s*[{*\w'"][^;]*?['"]([^'"]+)['"]/g)]
    // Static imports are loaded before the version of Node.js is looked at.
    assert.deepEqual(
      imports.map(([, from]) => from),
      ['node:module'],
    )
  })
})

/** One that the database's own user may pass through, should we be root. */
function openFolder(): string {
  const folder = freshFolder()
  chmodSync(folder, 0o711)
  return folder
}

const migrations = () =>
  readdirSync(join(root, 'sql/migrations')).map((name) => `sql/migrations/${name}`)

describe('a copy of the build, away from its packages', () => {
  let copy: string
  before(() => {
    copy = join(freshFolder(), 'copied')
    cpSync(dist, copy, { recursive: true })
  })
  const wafermon = (args: string[], env?: Record<string, string>) =>
    run(process.execPath, [join(copy, 'wafermon.js'), ...args], env)

  test('prints its version and its commands', async () => {
    const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
    assert.deepEqual(await wafermon(['--version']), { code: 0, out: `${version}\n`, err: '' })
    const { out, err } = await wafermon(['--help'])
    for (const role of ['sidecar', 'local-api', 'archiver', 'central', 'web', 'up', 'migrate']) {
      assert.match(out, new RegExp(`^  ${role} `, 'm'))
    }
    assert.equal(err, '')
    assert.doesNotMatch(out, /embedded-postgres/)
  })

  test('brings its migrations along', async (t) => {
    const { url } = await emptyDatabase(t)
    const { code, out, err } = await wafermon(['migrate'], { DATABASE_URL: url })
    assert.equal(code, 0, out + err)
  })

  test('finds nothing to migrate where the tests did it', async (t) => {
    const { url } = await freshDatabase(t)
    const { code, out, err } = await wafermon(['migrate', '--json'], { DATABASE_URL: url })
    assert.equal(code, 0, out + err)
    assert.deepEqual(JSON.parse(out).applied, [])
  })

  test('says what is missing for the embedded database, without a stack trace', async () => {
    const ports = ['sidecar', 'local-api', 'archiver', 'central', 'web', 'central-web']
    const free = ports.flatMap((role) => [`--${role}-port`, '0'])
    const { code, err } = await wafermon(['up', '--dir', join(openFolder(), 'state'), ...free])
    assert.equal(code, 1)
    assert.match(err, /the package @embedded-postgres\/linux-\w+ was not found/)
    assert.doesNotMatch(err, /\n\s+at /)
  })
})

describe('an old Node.js', () => {
  /** The program takes this Node.js for another one. */
  const pretending = (version: string) => {
    const code = `Object.defineProperty(process, 'versions', { value: { ...process.versions, node: '${version}' } })`
    const preload = `data:text/javascript,${encodeURIComponent(code)}`
    return run(process.execPath, ['--import', preload, program, '--version'])
  }

  for (const version of ['18.20.8', '20.20.2', '22.14.0']) {
    test(`is turned away in one sentence: ${version}`, async () => {
      const { code, out, err } = await pretending(version)
      const sentence = `wafermon needs Node.js 22.15 or newer (24 recommended); this is v${version} at ${process.execPath}\n`
      assert.deepEqual({ code, out, err }, { code: 78, out: '', err: sentence })
    })
  }

  for (const version of ['22.15.0', '24.0.0', '26.10.0']) {
    test(`is not ${version}`, async () => assert.equal((await pretending(version)).code, 0))
  }
})
