import assert from 'node:assert/strict'
import { execFileSync, spawn } from 'node:child_process'
import {
  closeSync,
  existsSync,
  openSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import { describe, type TestContext, test } from 'node:test'
import { Auth } from '../../src/platform/auth.ts'
import { takeLock } from '../../src/platform/lock-file.ts'
import { createLog } from '../../src/platform/log.ts'
import { rotate } from '../../src/platform/log-rotation.ts'
import { Supervisor } from '../../src/platform/supervisor.ts'
import { makeFolder, noteSimulated } from '../../src/roles/up/folder.ts'
import { upLog } from '../../src/roles/up/log.ts'
import { openCheckpoint } from '../../src/tools/replay/checkpoint.ts'
import { writeRecords } from '../../src/tools/simulate/write-records.ts'
import { listTokens, makeToken, revokeToken } from '../../src/tools/token.ts'
import { diskOf } from '../support/full-disk.ts'
import { freshFolder, program, until } from '../support/processes.ts'
import { wafermon } from '../support/run.ts'

/* What is written by the way, and not for an answer: a full disk must end nothing. */

/** A supervisor with one child that runs until it is stopped, and what it has logged. */
function supervise(t: TestContext, dir: string) {
  const said: string[] = []
  const destination = { write: (line: string) => void said.push(JSON.parse(line).event) }
  const log = createLog({ service: 'up', level: 'info', json: true, destination })
  const program = ['-e', `console.log('hello'); process.on('disconnect', () => process.exit())`]
  const supervisor = new Supervisor({ program, log, recordFile: join(dir, 'up.children') })
  t.after(() => supervisor.stop('role', 5000))
  const spec = { name: 'role', args: [], env: {}, logFile: join(dir, 'role.log'), saysReady: false }
  return { said, supervisor, start: () => supervisor.start(spec) }
}

describe('a full disk', () => {
  test('under up.children keeps nothing from running, and the record is written once it can be', async (t) => {
    const dir = freshFolder()
    const disk = diskOf(t)
    disk.fill(join(dir, 'up.children'))
    const { said, supervisor, start } = supervise(t, dir)
    await start()
    assert.ok(supervisor.pidOf('role'))
    assert.match(said.join(), /could not be recorded/)
    disk.free()
    process.kill(supervisor.pidOf('role') ?? 0, 'SIGKILL')
    const record = () =>
      existsSync(join(dir, 'up.children')) && readFileSync(join(dir, 'up.children'), 'utf8')
    await until('the record', () => String(record()).includes(`"pid":${supervisor.pidOf('role')},`))
    assert.deepEqual(readdirSync(dir).sort(), ['role.log', 'up.children'])
  })

  test("under a role's log keeps no role from running", async (t) => {
    const dir = freshFolder()
    diskOf(t).fill(join(dir, 'role.log'))
    const { said, supervisor, start } = supervise(t, dir)
    await start()
    assert.ok(supervisor.pidOf('role'))
    assert.match(said.join(), /runs without one/)
  })

  test("under a role's log.1 leaves the log as it is", (t) => {
    const file = join(freshFolder(), 'role.log')
    writeFileSync(file, 'lines\n')
    const disk = diskOf(t)
    disk.fill(`${file}.`)
    rotate(file, 1)
    assert.equal(readFileSync(file, 'utf8'), 'lines\n')
    disk.free()
    rotate(file, 1)
    assert.deepEqual(
      [readFileSync(file, 'utf8'), readFileSync(`${file}.1`, 'utf8')],
      ['', 'lines\n'],
    )
  })

  test('under up.log does not end `up`', (t) => {
    const path = join(freshFolder(), 'up.log')
    const disk = diskOf(t)
    disk.fill(path)
    const { log, keepIn } = upLog()
    keepIn(path)
    log.info('not written')
    disk.free()
    log.info('written')
    assert.match(readFileSync(path, 'utf8'), /^[^\n]*"written"}\n$/)
  })

  test('under the folder of `up` and that of its logs refuses in words', (t) => {
    const dir = join(freshFolder(), 'state')
    const disk = diskOf(t)
    for (const path of [dir, join(dir, 'logs')]) {
      disk.fill(path)
      assert.throws(
        () => makeFolder(dir),
        /cannot write to .*state \(ENOSPC\): choose a folder .*--dir/,
      )
    }
    disk.free()
    makeFolder(dir)
    assert.deepEqual(readdirSync(dir), ['logs'])
  })

  test('under the note that a folder is simulated refuses in words, and needs no space later', (t) => {
    const dir = freshFolder()
    const disk = diskOf(t)
    disk.fill(join(dir, 'up.simulated'))
    assert.throws(() => noteSimulated(dir), /cannot write .*simulated \(ENOSPC\): free some space/)
    disk.free()
    noteSimulated(dir)
    disk.fill(join(dir, 'up.simulated'))
    noteSimulated(dir)
  })

  for (const name of ['up.lock', 'postgres.lock']) {
    test(`lets ${name} be taken and given back: it needs a name and no space`, (t) => {
      const dir = smallDisk(t)
      const { release } = takeLock(join(dir, name))
      assert.throws(() => takeLock(join(dir, name)), /is held by/)
      release()
      assert.equal(takeLock(join(dir, name)).takenOver, false)
    })

    test(`without a name for ${name} refuses in words`, (t) => {
      const path = join(freshFolder(), name)
      diskOf(t).fill(path)
      assert.throws(() => takeLock(path), /cannot lock .*ENOSPC.*free some space/)
    })
  }
})

const skip = process.getuid?.() !== 0 && 'a small disk can only be mounted by root'
test('a sidecar that cannot start on a full disk says so without a stack', { skip }, async (t) => {
  const dir = smallDisk(t)
  const env = { SPOOL_DIR: join(dir, 'spool'), PORT: '0' }
  const { code, err } = await wafermon(['sidecar'], env)
  assert.notEqual(code, 0)
  assert.match(err, /ENOSPC|full|space/)
  assert.doesNotMatch(err, /\n +at /)
})

describe('a tool on a full disk says what it could not write', () => {
  test('a file of tokens', (t) => {
    const file = join(freshFolder(), 'tokens')
    const first = makeToken(file, ['read'])
    const disk = diskOf(t)
    disk.fill(file)
    assert.throws(() => makeToken(file, ['read']), /cannot write .*tokens.*ENOSPC/)
    const [{ id = '' } = {}] = listTokens(file)
    assert.throws(() => revokeToken(file, id), /cannot write .*tokens.*ENOSPC/)
    assert.ok(new Auth({ tokensFile: file, anonymous: [] }).find(first), 'the file is as it was')
  })

  test('the position of a replay', (t) => {
    const state = freshFolder()
    const where = { state, file: 'hour.ndjson', url: 'http://x', siteId: 'fab1' }
    const { write } = openCheckpoint(where, [])
    diskOf(t).fill(join(state, 'hour.ndjson.fab1.replay.json'))
    assert.throws(() => write(1), /--state.*ENOSPC/)
  })

  test('the records of a simulated fab', async () => {
    const plan = { seed: 7, jobsPerMinute: 60, durationS: 60, endMs: 0 }
    const writing = writeRecords({ file: '/dev/full', ...plan })
    await assert.rejects(writing, /--records: cannot write \/dev\/full \(ENOSPC\)/)
  })

  test('its standard output', async () => {
    const { code, err } = await new Promise<{ code: number | null; err: string }>((done) => {
      const full = openSync('/dev/full', 'a')
      const args = [program, 'config', 'show', '--role', 'web']
      const child = spawn(process.execPath, args, { stdio: ['ignore', full, 'pipe'] })
      let err = ''
      child.stderr?.setEncoding('utf8').on('data', (text: string) => {
        err += text
      })
      child.once('close', (code) => done({ code, err }))
    })
    assert.deepEqual([code, err.split('\n').length], [1, 2], err)
    assert.match(err, /^cannot write to standard output: ENOSPC/)
  })
})

/** A real disk of 64 KiB, full to the last byte. */
function smallDisk(t: TestContext): string {
  const dir = freshFolder()
  if (process.getuid?.() !== 0) return dir
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', dir])
  t.after(() => execFileSync('umount', ['-l', dir]))
  const file = openSync(join(dir, 'filler'), 'w')
  assert.throws(() => {
    for (;;) writeSync(file, Buffer.alloc(4096))
  }, /ENOSPC/)
  closeSync(file)
  assert.throws(() => writeFileSync(join(dir, 'more'), 'x'), /ENOSPC/)
  return dir
}

test('a record of children that names no process is no reason not to start', async (t) => {
  for (const content of ['{}', 'null', '[1,null,{}]', '[{"pid":1}]', '{"a"']) {
    const dir = freshFolder()
    writeFileSync(join(dir, 'up.children'), content)
    await supervise(t, dir).supervisor.clearLeftovers(0)
  }
})

test('rotation writes through no link', () => {
  const dir = freshFolder()
  writeFileSync(join(dir, 'secret'), 'mine')
  writeFileSync(join(dir, 'a.log'), 'lines\n')
  symlinkSync(join(dir, 'secret'), join(dir, 'a.log.1'))
  rotate(join(dir, 'a.log'), 1)
  symlinkSync(join(dir, 'secret'), join(dir, 'b.log'))
  rotate(join(dir, 'b.log'), 1)
  assert.equal(readFileSync(join(dir, 'secret'), 'utf8'), 'mine')
  assert.equal(readFileSync(join(dir, 'a.log.1'), 'utf8'), 'lines\n')
})
