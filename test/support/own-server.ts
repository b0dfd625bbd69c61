import { fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'

export type TestServer = { url: string; stop(): Promise<void> }

/** Starts a PostgreSQL that goes away with this process. Holds no process open. */
export async function startTestServer(): Promise<TestServer> {
  const program = fileURLToPath(new URL('./postgres-server.ts', import.meta.url))
  const child = fork(program, { detached: true, execArgv: [], stdio: ['ignore', 2, 2, 'ipc'] })
  const ended = once(child, 'exit')
  const said = once(child, 'message') as Promise<[{ url: string }]>
  const first = await Promise.race([said, ended])
  const url = (first[0] as { url?: string } | null)?.url
  if (url === undefined) throw new Error(`the test database did not start: it ended with ${first}`)
  child.unref()
  child.channel?.unref()
  const stop = async () => {
    child.ref()
    child.disconnect()
    await ended
  }
  return { url, stop }
}
