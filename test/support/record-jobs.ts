import type { Attempt, Job } from '../../src/core/job.ts'
import { fromMs, type Micros, toMs } from '../../src/core/time.ts'
import type { World } from './array-reader.ts'
import { aJob, idOf } from './sample-jobs.ts'

/** Jobs of a batch system at `now`: tried again, waiting, and ended in no known way. */
export function addRecord(world: World, now: Micros) {
  const ago = (minutes: number) => fromMs(toMs(now) - minutes * 60_000)
  const times = (startedAt: Micros, lastEventAt = startedAt) => ({
    ...{ startedAt, lastEventAt, insertedAt: startedAt, updatedAt: lastEventAt },
  })
  const tried = aJob({
    id: idOf('record tried'),
    jobKey: 'TRIED',
    status: 'failed',
    ...times(ago(40), ago(20)),
    durationS: 1200,
    endedAt: ago(20),
    attempt: 3,
    failedAttempts: 2,
    queuedAt: ago(50),
    queueS: 600,
    truncated: true,
    lastError: 'exit code 137',
    errorCount: 1,
    cpuUserS: 1000,
    cpuSystemS: 200,
    memMaxMb: 4000,
    metadata: {
      exit_code: 137,
      signal: 'SIGKILL',
      reason: 'OutOfMemory',
      host: 'node-17',
      queue: 'short',
      priority: 70,
      tool: 'SCN-05',
      current: 13,
      total: 25,
      resources: { cpus: 4, memory_mb: 4096, gpus: 1 },
      links: [
        { title: 'log', url: 'https://logs.fab1.example/137' },
        { title: 'bad', url: 'javascript:alert(1)' },
      ],
      truncated: true,
    },
  })
  const waiting = aJob({
    id: idOf('record waiting'),
    jobKey: 'WAITING',
    status: 'queued',
    ...times(ago(12)),
    durationS: null,
    endedAt: null,
    queuedAt: ago(12),
    metadata: { queue: 'short', reason: 'no node with 4 GPUs is free' },
  } as Partial<Job>)
  const closed = aJob({
    id: idOf('record closed'),
    jobKey: 'CLOSED',
    status: 'unknown',
    ...times(ago(60), ago(30)),
    durationS: 1800,
  })
  const attempt = (number: number, changes: Partial<Attempt>): Attempt => ({
    attempt: number,
    status: 'failed',
    queuedAt: null,
    queueS: null,
    startedAt: ago(180 - 20 * number),
    endedAt: ago(170 - 20 * number),
    durationS: 600,
    exitCode: '1',
    lastError: `no license at try ${number}`,
    ...changes,
  })
  world.attempts = new Map([
    [
      tried.id,
      [
        attempt(3, { queueS: 600, exitCode: '137', lastError: 'exit code 137' }),
        attempt(2, { status: 'unknown', endedAt: null, durationS: null, exitCode: null }),
        attempt(1, {}),
      ],
    ],
  ])
  world.jobs.push(tried, waiting, closed)
  return { tried, waiting, closed }
}
