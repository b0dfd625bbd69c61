import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { describe, type TestContext, test } from 'node:test'
import { fileURLToPath } from 'node:url'

/* A role that is asked to stop before it has started: a deployment that was wrong, a second thought. */

const script = fileURLToPath(new URL('../support/slow-role.ts', import.meta.url))

/** Runs one until it has ended. It is asked to stop once its start is under way. */
async function run(t: TestContext, ...args: string[]) {
  const child = spawn(process.execPath, ['--import', 'tsx', script, ...args], {
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
  })
  const deadline = setTimeout(() => child.kill('SIGKILL'), 20_000)
  t.after(() => clearTimeout(deadline))
  const said: object[] = []
  let [out, err] = ['', '']
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    out += text
  })
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    err += text
  })
  child.on('message', (message: object) => {
    said.push(message)
    if ('starting' in message) child.kill('SIGTERM')
  })
  const code = await new Promise<number | null>((done) => child.once('close', done))
  return { code, said, out, err }
}

describe('a role that is asked to stop while it starts', () => {
  for (const when of ['soon', 'late']) {
    test(`ends well and serves nothing, though it continues to listen ${when}`, async (t) => {
      const { code, said, out, err } = await run(t, 'listens', when)
      assert.deepEqual([code, err], [0, ''])
      assert.ok(
        said.some((message) => 'closed' in message),
        'what it had opened is closed',
      )
      assert.ok(!said.some((message) => 'ready' in message), 'nobody is told that it is ready')
      assert.doesNotMatch(out, /"listening"/)
      assert.match(out, /"stopped"/)
    })

    test(`ends well when its start then fails ${when}`, async (t) => {
      const { code, said, out, err } = await run(t, 'fails', when)
      assert.deepEqual([code, err], [0, ''])
      assert.ok(said.some((message) => 'closed' in message))
      assert.doesNotMatch(out, /what it needed is closed/)
    })
  }

  test('is an error only when it fails by itself; what it had opened is closed then too', async (t) => {
    const { code, said, err } = await run(t, 'fails', 'unasked')
    assert.deepEqual([code, err], [1, 'what it needed is closed already\n'])
    assert.ok(said.some((message) => 'closed' in message))
  })
})
