import { sleep } from '../platform/backoff.ts'
import { openDriver } from './driver.ts'

export type Listening = {
  /** The name of the connection in pg_stat_activity. */
  role: string
  channel: string
  /** Called on every notification, and whenever some may have been missed. */
  heard: () => void
  signal: AbortSignal
}

/** Between two tries to connect, in milliseconds. */
const againMs = 500

/**
 * Listens until the signal aborts, on a connection of its own that is opened again when it is lost.
 * Not the driver's `listen`: that reconnects once, and when the server is not up again by then it
 * receives nothing more and reports no error.
 */
export async function keepListening(url: string, listening: Listening): Promise<void> {
  while (!listening.signal.aborted) {
    await listenOnce(url, listening).catch(() => {})
    await sleep(againMs, listening.signal)
  }
}

async function listenOnce(url: string, { role, channel, heard, signal }: Listening): Promise<void> {
  const over = new AbortController()
  const stop = () => over.abort()
  signal.addEventListener('abort', stop, { once: true })
  const name = `${role} listen`
  const sql = openDriver(url, { name, max: 1, keep: true, onClose: stop, onNotify: heard })
  try {
    await sql`listen ${sql(channel)}`
    heard()
    if (!over.signal.aborted) {
      await new Promise((done) => over.signal.addEventListener('abort', done, { once: true }))
    }
  } finally {
    signal.removeEventListener('abort', stop)
    await sql.end({ timeout: 0 })
  }
}
