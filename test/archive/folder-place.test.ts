import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { describe, test } from 'node:test'
import { textChunks } from '../../src/archive/places/content.ts'
import { FolderPlace } from '../../src/archive/places/folder.ts'
import { freshFolder } from '../support/processes.ts'
import { hasStrace, straceMissing } from '../support/strace.ts'
import { get, hasCode, listed, name, put } from './place-contract.ts'
import { remount, smallDisk } from './role.ts'

/* Tests for folders only: a disk, and processes that die in the middle. */

const text = 'a whole file'

/** A process that stages the text in two chunks and puts it; it says so before each step. */
const putting = (dir: string) => `
  import { FolderPlace } from ${JSON.stringify(new URL('../../src/archive/places/folder.ts', import.meta.url))}
  const say = (step) => new Promise((done) => process.stdout.write(step + '\\n', done))
  const place = new FolderPlace(${JSON.stringify(dir)})
  async function* chunks() {
    yield Buffer.from(${JSON.stringify(text.slice(0, 5))})
    await say('half')
    if (process.env.STALL) setInterval(() => {}, 1000), await new Promise(() => {})
    yield Buffer.from(${JSON.stringify(text.slice(5))})
  }
  try {
    await place.putOnce(${JSON.stringify(name)}, await place.stage('site=fab1/event-0.parquet', chunks()))
    await say('put')
  } catch (error) {
    await say(error.message)
  }`

/** Runs it, under strace if there are arguments for it, with one thread for files. */
function runPutting(dir: string, strace: readonly string[] = [], env: Record<string, string> = {}) {
  const output = join(freshFolder(), 'strace')
  const under = strace.length > 0 ? ['strace', '-f', '-y', '-o', output, ...strace] : []
  const node = [process.execPath, '--no-warnings', '--input-type=module', '-e', putting(dir)]
  const [command = '', ...args] = [...under, ...node]
  const child = spawn(command, args, {
    env: { PATH: process.env.PATH, UV_THREADPOOL_SIZE: '1', ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let said = ''
  child.stdout.setEncoding('utf8').on('data', (more: string) => {
    said += more
  })
  const calls = () => (existsSync(output) ? readFileSync(output, 'utf8').split('\n') : [])
  return { child, ended: once(child, 'close'), said: () => said, calls }
}

/** Nothing is visible or the whole file is, and the next archiver makes it so and clears the rest. */
async function assertRecovers(dir: string): Promise<void> {
  const place = new FolderPlace(dir)
  await place.clearStaged('site=fab1')
  await put(place, name, text)
  assert.deepEqual(await listed(place), [name])
  assert.equal(await get(place, name), text)
  assert.deepEqual(readdirSync(join(dir, '_tmp/site=fab1')), [])
}

/** The calls at which it dies, before they are carried out, and if the name is there then. */
const deaths = [
  ['fsync', 1, 'with the bytes written, not synced', false],
  ['fsync', 2, 'with the first folder made, not synced', false],
  ['link', 1, 'with all folders made, before the name', false],
  ['unlink', 1, 'with the name given, still staged', true],
  ['fsync', 6, 'with the name given, not synced', true],
] as const

const strace = { skip: hasStrace ? false : straceMissing }

describe('a folder, whose archiver is killed in the middle of putOnce', () => {
  test('shows nothing when half of the bytes were staged', async () => {
    const dir = freshFolder()
    const { child, ended } = runPutting(dir, [], { STALL: '1' })
    await once(child.stdout, 'data')
    child.kill('SIGKILL')
    await ended
    assert.equal(readdirSync(join(dir, '_tmp/site=fab1')).length, 1)
    assert.deepEqual(await listed(new FolderPlace(dir)), [])
    await assertRecovers(dir)
  })

  for (const [call, when, what, visible] of deaths) {
    test(`has ${visible ? 'the whole file' : 'nothing'} visible ${what}`, strace, async () => {
      const dir = freshFolder()
      const inject = `inject=${call}:signal=KILL:when=${when}`
      const run = runPutting(dir, ['-e', `trace=${call}`, '-e', inject])
      await run.ended
      assert.match(run.calls().join('\n'), /killed by SIGKILL/, `not reached: ${run.said()}`)
      const place = new FolderPlace(dir)
      assert.deepEqual(await listed(place), visible ? [name] : [])
      assert.equal(await get(place, name), visible ? text : undefined)
      await assertRecovers(dir)
    })
  }
})

describe('a folder', () => {
  test(
    'syncs the bytes before the name, then the name, and every folder above',
    strace,
    async () => {
      const dir = freshFolder()
      // As a crash may have left it: made, but not synced.
      mkdirSync(join(dir, dirname(name)), { recursive: true })
      const run = runPutting(dir, ['-e', 'trace=fsync,fdatasync,link'])
      await run.ended
      assert.equal(run.said(), 'half\nput\n')
      const steps = run.calls().flatMap((line) => {
        const [, synced] = /\bfd?a?t?a?sync\(\d+<([^>]*)>/.exec(line) ?? []
        if (synced) return [synced.includes('/_tmp/') ? 'bytes' : synced.slice(dir.length + 1)]
        return line.includes('link(') ? ['link'] : []
      })
      const folders = ['', 'event', 'event/site=fab1', 'event/site=fab1/dt=2026-03-01']
      assert.deepEqual(steps, ['bytes', ...folders, 'link', dirname(name)])
    },
  )

  test('gives a name once, also where there are no hard links', strace, async () => {
    const dir = freshFolder()
    const noLinks = ['-e', 'trace=link', '-e', 'inject=link:error=EPERM']
    const first = runPutting(dir, noLinks)
    await first.ended
    assert.equal(first.said(), 'half\nput\n')
    assert.equal(await get(new FolderPlace(dir), name), text)
    writeFileSync(join(dir, name), 'something else')
    const second = runPutting(dir, noLinks)
    await second.ended
    assert.match(second.said(), /exists with different content/)
    assert.equal(await get(new FolderPlace(dir), name), 'something else')
  })

  test('takes and gives large files in small chunks', async () => {
    const place = new FolderPlace(freshFolder())
    const mebibyte = Buffer.alloc(2 ** 20, 'x')
    const chunks = async function* () {
      for (let i = 0; i < 24; i++) yield mebibyte
    }
    const staged = await place.stage('large', chunks())
    await place.putOnce(name, staged)
    const content = await place.read(name)
    assert.ok(content)
    let bytes = 0
    for await (const chunk of content.chunks()) {
      assert.ok(chunk.byteLength <= 4 * mebibyte.byteLength)
      bytes += chunk.byteLength
    }
    assert.deepEqual([content.bytes, bytes], [24 * 2 ** 20, 24 * 2 ** 20])
  })

  test('lists a link as a file and does not follow it', async () => {
    const dir = freshFolder()
    const place = new FolderPlace(dir)
    await put(place, name, text)
    mkdirSync(join(dir, 'job'))
    symlinkSync('/etc', join(dir, 'job/etc'))
    assert.deepEqual(await listed(place, 'job'), ['job/etc'])
  })
})

describe('the check of a folder', () => {
  const needsRoot = {
    skip: process.getuid?.() === 0 ? false : 'a disk can only be mounted by root',
  }

  test('makes the folder, but not the one above it', async () => {
    const dir = join(freshFolder(), 'archive')
    await assert.rejects(new FolderPlace(dir).check('read'), hasCode('unavailable', /; mount it/))
    await new FolderPlace(dir).check('write')
    assert.deepEqual(readdirSync(dir), [])
    const below = new FolderPlace(join(dir, 'mount', 'archive'))
    await assert.rejects(
      below.check('write'),
      hasCode('unavailable', /ENOENT.*its parent folder is missing; mount or create it/),
    )
    assert.deepEqual(readdirSync(dir), [])
  })

  test('refuses a file in its place', async () => {
    const file = join(freshFolder(), 'file')
    writeFileSync(file, '')
    for (const use of ['read', 'write'] as const) {
      await assert.rejects(
        new FolderPlace(file).check(use),
        hasCode('unavailable', /ARCHIVE_DIR: /),
      )
    }
  })

  test('names the file that is in the place of a folder of its own', async () => {
    const dir = freshFolder()
    const place = new FolderPlace(dir)
    writeFileSync(join(dir, 'site=b'), 'x')
    const words = /site=b cannot be used: a file is in the place of a folder; move it away/
    await assert.rejects(put(place, 'site=b/one.parquet', text), words)
    await assert.rejects(place.stat('site=b/one.parquet'), words)
    await assert.rejects(place.read('site=b/one.parquet'), words)
  })

  test('says of a full disk to make room, and so does staging', needsRoot, async (t) => {
    const noFiles = smallDisk(t, '64k,nr_inodes=1')
    await assert.rejects(
      new FolderPlace(join(noFiles, 'archive')).check('write'),
      hasCode('unavailable', /cannot write to .*the disk is full; free some space/),
    )
    const dir = smallDisk(t, '64k')
    const place = new FolderPlace(dir)
    await put(place, 'small', 'x')
    const large = place.stage('site=fab1/large', textChunks('x'.repeat(2 ** 18)))
    await assert.rejects(
      large,
      hasCode('unavailable', /the disk of ARCHIVE_DIR is full; free some space/),
    )
    assert.deepEqual(readdirSync(join(dir, '_tmp/site=fab1')), [])
    assert.equal(await get(place, 'small'), 'x')
  })

  test('says that a disk is read-only, which can still be read', needsRoot, async (t) => {
    const dir = smallDisk(t, '1m')
    const place = new FolderPlace(dir)
    await put(place, name, text)
    remount(dir, 'ro')
    await assert.rejects(place.check('write'), hasCode('unavailable', /EROFS.*read-only/))
    const readOnly = hasCode('unavailable', /the disk of ARCHIVE_DIR is mounted read-only/)
    await assert.rejects(place.stage('x', textChunks('x')), readOnly)
    await assert.rejects(place.remove(name), readOnly)
    await place.check('read')
    assert.deepEqual([await listed(place), await get(place, name)], [[name], text])
  })
})
