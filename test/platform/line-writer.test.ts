import assert from 'node:assert/strict'
import { execFileSync, spawn } from 'node:child_process'
import { openSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, type TestContext, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { LineWriter, openLog } from '../../src/platform/line-writer.ts'
import { createLog } from '../../src/platform/log.ts'
import { diskOf } from '../support/full-disk.ts'
import { freshFolder, until } from '../support/processes.ts'

/** Lines of 1000 bytes, numbered. */
const line = (n: number) => `${String(n).padStart(6, '0')}${'x'.repeat(993)}\n`
const numbersIn = (text: string) =>
  text.split('\n').flatMap((said) => (/^\d{6}x*$/.test(said) ? [Number(said.slice(0, 6))] : []))

const logModule = JSON.stringify(
  fileURLToPath(new URL('../../src/platform/log.ts', import.meta.url)),
)

/** A process that runs `code` with a log on its standard output, whose reader is the test. */
function logging(t: TestContext, code: string, out: 'pipe' | number = 'pipe') {
  const source = `import { createLog } from ${logModule}
    const log = createLog({ service: 'test', level: 'info', json: true })
    ${code}`
  const node = ['--import', 'tsx', '--input-type=module', '-e', source]
  const child = spawn(process.execPath, node, { stdio: ['ignore', out, 'pipe', 'ipc'] })
  t.after(() => child.kill('SIGKILL'))
  return child
}

/** What a shell makes for `|`; Node.js makes sockets. */
function makePipe(): string {
  const path = join(freshFolder(), 'pipe')
  execFileSync('sh', ['-c', 'mkfifo "$1"', 'sh', path])
  return path
}

/** Waits until the process says that it continues. */
async function isAlive(child: ReturnType<typeof logging>): Promise<void> {
  let alive = false
  child.once('message', () => {
    alive = true
  })
  await until('the process to continue', () => {
    assert.deepEqual([child.exitCode, child.signalCode], [null, null], 'the process ended')
    return alive
  })
}

describe('a log whose reader stalls', () => {
  const many = `for (let n = 0; n < 5000; n++) log.info({ n, filler: 'x'.repeat(1000) }, 'said')
    process.send('alive'); setInterval(() => {}, 1000)`

  for (const kind of ['pipe', 'socket'] as const) {
    test(`of a ${kind} does not hold up the process: lines are dropped, counted and reported when it reads again`, async (t) => {
      const pipe = kind === 'pipe' ? makePipe() : undefined
      const child = logging(t, many, pipe === undefined ? 'pipe' : openSync(pipe, 'r+'))
      await isAlive(child)
      let read = ''
      const cat = pipe === undefined ? undefined : spawn('cat', [pipe])
      t.after(() => cat?.kill())
      const out = cat?.stdout ?? child.stdout
      out?.setEncoding('utf8').on('data', (text: string) => {
        read += text
      })
      const gap = await until('the report of the gap', () =>
        read.split('\n').find((said) => said.includes('were dropped')),
      )
      const { level, lines } = JSON.parse(gap)
      const kept = read.split('\n').filter((said) => said.includes('"said"'))
      assert.equal(level, 'warn')
      assert.equal(kept.length + lines, 5000)
      assert.deepEqual(
        kept.map((said) => JSON.parse(said).n),
        kept.map((_, i) => i),
        'those that were kept are whole and in order',
      )
    })
  }

  test('does not hold up or end the process when the reader goes away', async (t) => {
    const child = logging(t, many)
    child.stdout?.destroy()
    await isAlive(child)
  })
})

test('a log on a full disk does not end the process', async (t) => {
  const child = logging(
    t,
    `log.info('one'); setTimeout(() => { log.info('two'); process.send('alive'); setInterval(() => {}, 1000) }, 20)`,
    openSync('/dev/full', 'a'),
  )
  await isAlive(child)
})

describe('a file of lines on a full disk', () => {
  test('loses whole lines only, counts them, and reports the gap where it is', async (t) => {
    const path = join(freshFolder(), 'role.log')
    const disk = diskOf(t)
    let dropped = 0
    const options = { maxWaitingBytes: 4000, onDrop: () => dropped++ }
    const destination = new LineWriter(openLog(path), options)
    const log = createLog({ service: 'test', level: 'info', json: true, destination })
    destination.write(line(0))
    disk.fill(path, 500)
    for (let n = 1; n < 10; n++) destination.write(line(n))
    disk.free()
    const text = await until('the gap', () => {
      const text = readFileSync(path, 'utf8')
      return text.includes('were dropped') && text
    })
    log.info('after')
    assert.deepEqual(numbersIn(text), [0, 1, 2, 3, 4])
    assert.equal(dropped, 5)
    assert.match(readFileSync(path, 'utf8'), /"lines":5[^\n]*were dropped[^\n]*\n[^\n]*after"}\n$/)
  })

  test('is not opened through a link', () => {
    const folder = freshFolder()
    writeFileSync(join(folder, 'secret'), 'mine')
    symlinkSync(join(folder, 'secret'), join(folder, 'role.log'))
    assert.throws(() => openLog(join(folder, 'role.log')), { code: 'ELOOP' })
  })
})
