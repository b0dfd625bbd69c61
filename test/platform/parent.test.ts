import assert from 'node:assert/strict'
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { test } from 'node:test'

async function runChild(state: 'with its parent' | 'parted') {
  const program = new URL('../support/ready-child.ts', import.meta.url)
  const child = fork(program, [state], {
    execArgv: ['--import', 'tsx'],
    stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
  })
  const said: unknown[] = []
  child.on('message', (one) => said.push(one))
  const [code] = await once(child, 'exit')
  return { code, said }
}

test('a process tells its parent that it works', async () => {
  assert.deepEqual(await runChild('with its parent'), {
    code: 0,
    said: [{ ready: true, url: 'http://x' }],
  })
})

test('a process that has parted from its parent, to stop, is not ended by saying that it works', async () => {
  assert.deepEqual(await runChild('parted'), { code: 0, said: [] })
})
