import { randomUUID } from 'node:crypto'

/*
 * Events of about 500 bytes, as the SDK makes them: jobs that start, report once and end, a few
 * hundred of them under way at a time, so that a batch of 500 speaks of some 300 jobs. That is hard
 * on the store, which merges a row a job.
 */

const openJobs = 300

type Step = { kind: 'queued' | 'started' | 'progress' | 'finished'; attempt: number }

/** What the events of a job report, in turn. */
const plain: Step[] = (['started', 'progress', 'finished'] as const).map((kind) => ({
  kind,
  attempt: 1,
}))
/** Of one that waits, fails, waits again and succeeds at its second try. */
const triedAgain: Step[] = [1, 2].flatMap((attempt) =>
  (['queued', 'started', 'finished'] as const).map((kind) => ({ kind, attempt })),
)

type Job = { id: string; app: number; lot: string; step: number; startedAt: string }

export type EventMaker = {
  /** The next event, as JSON. */
  next(): string
  /** The next events as a JSON array. */
  batch(count: number): string
}

/**
 * @param key makes idempotency keys; random ones unless given
 * @param attempts jobs that wait and are tried twice, in place of those that run once
 */
export function eventMaker({
  key = randomUUID as () => string,
  random = Math.random,
  attempts = false,
} = {}): EventMaker {
  const steps = attempts ? triedAgain : plain
  const jobs: Job[] = Array.from({ length: openJobs }, () => newJob(random))
  const next = () => {
    const index = Math.floor(random() * openJobs)
    const job = jobs[index]!
    const text = eventJson(job, key(), steps)
    job.step++
    if (job.step === steps.length) jobs[index] = newJob(random)
    return text
  }
  const batch = (count: number) => `[${Array.from({ length: count }, next).join(',')}]`
  return { next, batch }
}

/**
 * Starts of jobs and nothing else: each of a job of its own, or of as many as given, over and over.
 */
export function jobStarts(jobs = Infinity): EventMaker {
  const known: Job[] = []
  let turn = 0
  const next = () => {
    const job = known[turn++ % jobs] ?? newJob(Math.random)
    if (known.length < jobs && jobs !== Infinity) known.push(job)
    return eventJson(job, randomUUID(), plain)
  }
  const batch = (count: number) => `[${Array.from({ length: count }, next).join(',')}]`
  return { next, batch }
}

function newJob(random: () => number): Job {
  const app = Math.floor(random() * 40)
  const lot = `N${Math.floor(random() * 90_000 + 10_000)}.00`
  return { id: randomUUID(), app, lot, step: 0, startedAt: now() }
}

const appIds = Array.from({ length: 40 }, () => randomUUID())

/** Digits below the millisecond, which a real clock has and Date has not. */
let micros = 0
const now = () => {
  micros = (micros + 1) % 1000
  return new Date().toISOString().replace('Z', `${String(micros).padStart(3, '0')}Z`)
}

function eventJson({ id, app, lot, step, startedAt }: Job, key: string, steps: Step[]): string {
  const { kind, attempt } = steps[step]!
  const at = now()
  const again = steps === triedAgain
  const tried = again ? `,"attempt":${attempt}` : ''
  // A start is given by the job's only try alone: of those that wait an event tells it.
  const start = again ? '' : `"started_at":"${startedAt}",`
  const detail =
    kind === 'progress'
      ? `"metrics":{"progress":0.5,"cd_mean_nm":38.${micros}},"metadata":{"step":"measure","slot":${app}}`
      : kind === 'queued'
        ? `"metadata":{"queue":"short","priority":${app},"reason":"no chamber is free"}`
        : kind === 'finished' && again && attempt === 1
          ? `"status":"failed","metrics":{"cpu_user_s":1.25},"metadata":{"exit_code":3,"error":"the chamber did not reach its pressure"}`
          : kind === 'finished'
            ? `"status":"succeeded","metrics":{"cpu_user_s":1.25,"mem_max_mb":512},"metadata":{"sites":17}`
            : `"metadata":{"recipe":"ETCH-${app}","tool":"TOOL-${app % 12}","chamber":"B"}`
  return `{"idempotency_key":"${key}","site_id":"fab1","app":{"app_id":"${appIds[app]}","name":"metrology-${app}","version":"4.2.1"},"entity":{"type":"job","id":"${id}","business_key":"${lot}","sub_key":"W${String(app % 25).padStart(2, '0')}"${tried}},"event":{"kind":"${kind}","at":"${at}",${start}${detail}}}`
}

let stampedAt = 0
let stamped = ''

/** A key in time order (UUIDv7), as the SDK makes them. Cheap: it is made while others are measured. */
export function timeOrderedKey(): string {
  const at = Date.now()
  if (at !== stampedAt) {
    const ms = at.toString(16).padStart(12, '0')
    stampedAt = at
    stamped = `${ms.slice(0, 8)}-${ms.slice(8)}-7`
  }
  return stamped + randomUUID().slice(15)
}
