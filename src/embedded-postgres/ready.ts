import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import type { Logger } from 'pino'
import { sleep } from '../platform/backoff.ts'

type Starting = {
  dataDir: string
  pid: number
  ended: Promise<{ reason: string }>
  signal: AbortSignal | undefined
  log: Logger
}

/**
 * Waits until PostgreSQL says in `postmaster.pid` that it takes connections. There is no deadline:
 * replaying a large log after a power cut takes as long as it takes; it is logged every ten seconds.
 *
 * @throws Error with the server's last words when it ended instead; the signal's reason
 */
export async function waitUntilReady({ dataDir, pid, ended, signal, log }: Starting) {
  let failure: string | undefined
  void ended.then(({ reason }) => {
    failure = reason
  })
  const begun = performance.now()
  let nextWord = 10_000
  while (!isReady(dataDir, pid)) {
    if (failure !== undefined) throw new Error(`PostgreSQL did not start: ${failure}`)
    signal?.throwIfAborted()
    const waited = performance.now() - begun
    if (waited >= nextWord) {
      log.warn({ waited_s: Math.round(waited / 1000) }, 'PostgreSQL is still recovering')
      nextWord += 10_000
    }
    await sleep(20, signal)
  }
}

/** Line 1 is the process, line 8 its state: what pg_ctl looks at too. */
function isReady(dataDir: string, pid: number): boolean {
  try {
    const lines = readFileSync(join(dataDir, 'postmaster.pid'), 'utf8').split('\n')
    return Number(lines[0]) === pid && lines[7]?.trim() === 'ready'
  } catch {
    return false
  }
}

/**
 * Passes the server's log on, and keeps the end of it.
 *
 * @returns a function that gives the lines that tell why it failed, or the last few
 */
export function followLog(stream: Readable, log: Logger): () => string {
  const tail: string[] = []
  createInterface({ input: stream }).on('line', (line) => {
    if (tail.push(line) > 20) tail.shift()
    log[levelOf(line)]({ postgres: line }, 'database server')
  })
  return () => {
    const telling = tail.filter((line) => /\b(FATAL|PANIC|HINT|DETAIL):/.test(line))
    return (telling.length > 0 ? telling : tail.slice(-5)).join(' ')
  }
}

/** A client's mistake (ERROR) is the client's to log; the server's own trouble is worth a warning. */
function levelOf(line: string): 'warn' | 'info' | 'debug' {
  if (/\bPANIC:/.test(line)) return 'warn'
  return /\b(WARNING|ERROR|FATAL):/.test(line) ? 'info' : 'debug'
}
