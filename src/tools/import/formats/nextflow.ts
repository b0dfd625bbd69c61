import { createHash } from 'node:crypto'
import type { JobStatus } from '../../../core/job.ts'
import { fromMicros, type Micros, toMicros } from '../../../core/time.ts'
import { Lru } from '../../../platform/lru.ts'
import {
  BadValue,
  defineFormat,
  type ImportContext,
  jobsRemembered,
  type Observation,
  type Skipped,
} from '../format.ts'
import { observeRecord } from '../record.ts'
import { cutTable, type Row } from '../table.ts'
import {
  copyText,
  filled,
  isNone,
  lookUp,
  measured,
  orNone,
  readAtOrNone,
  readCount,
  readMegabytes,
  readNumber,
  shorten,
} from '../values.ts'

/*
 * The trace file of a Nextflow run: a row per task, with the fields of `trace.fields` in any order, as shown or
 * raw (`trace.raw`). Ids of tasks count from 1 in every run, and no field names the run: it is known by the
 * first row of its file, which stays the first while the file grows.
 *
 * A row is written when its task has ended. What is tried again is a task with an id of its own and the same name, so
 * attempt 2 belongs to the oldest attempt 1 of that name that failed and was not tried again yet. A task that was
 * aborted, or never got as far as running, has no end: it ends no earlier than what was written before it.
 */
export const nextflow = defineFormat<Row>({
  cut: (source) => cutTable(source, { delimiter: '\t', needed: ['task_id', 'name', 'status'] }),
  observe(context) {
    let run: Run | undefined
    return (row) => {
      run ??= new Run(row)
      return observeTask(row, run, context)
    }
  },
})

/** Of one name, the tasks that failed and wait for their next attempt. */
const mostOfOneName = 16

/** What is remembered of the rows before. */
class Run {
  readonly #id: string
  readonly #failed = new Lru<string, string[]>(jobsRemembered)
  #latest: Micros | undefined

  constructor(firstRow: Row) {
    this.#id = createHash('sha1').update(JSON.stringify(firstRow)).digest('hex')
  }

  /** The job of a row: the task as it was at its first attempt. */
  findJob({ task_id: id = '', name }: Row, attempt: number, status: JobStatus): string {
    const before = this.#failed.get(`${attempt - 1} ${name}`) ?? []
    const [first = id] = before.splice(Math.max(0, before.indexOf(id)), 1)
    if (status === 'failed') {
      const key = copyText(`${attempt} ${name}`)
      const failed = this.#failed.get(key) ?? []
      this.#failed.set(key, [...failed, copyText(first)].slice(-mostOfOneName))
    }
    return `${this.#id}:${first}`
  }

  /** @returns the latest time of this row and all before it */
  seeTimes(times: readonly (Micros | undefined)[]): Micros | undefined {
    for (const at of times) {
      if (at !== undefined && at > (this.#latest ?? '')) this.#latest = at
    }
    return this.#latest
  }
}

const states: Record<string, JobStatus> = {
  ...{ NEW: 'queued', SUBMITTED: 'queued', RUNNING: 'running', COMPLETED: 'succeeded' },
  ...{ FAILED: 'failed', ABORTED: 'canceled' },
}

/** What stands for an exit code that is not known. */
const noExit = '2147483647'

function* observeTask(
  row: Row,
  run: Run,
  context: ImportContext,
): Generator<Observation | Skipped> {
  const { task_id: id, name = '', status: state = '' } = row
  if (isNone(id)) throw new BadValue('task_id: is empty')
  if (state === 'CACHED') return yield { skipped: 'cached: ran in an earlier run' }
  const status = lookUp(states, state)
  if (status === undefined)
    throw new BadValue(`status: ${shorten(state)} is not a status of a task`)
  const [, process = name, tag] = /^(.*?) \((.*)\)$/.exec(name) ?? []
  const attempt = readCount('attempt', row.attempt, 1) ?? 1
  const { queuedAt, startedAt, endedAt } = readTimes(row, context)
  const latest = run.seeTimes([queuedAt, startedAt, endedAt])
  const isOpen = status === 'queued' || status === 'running'
  yield* observeRecord({
    job: run.findJob(row, attempt, status),
    key: orNone(row.tag) ?? tag ?? name,
    app: orNone(row.process) ?? process,
    attempt,
    status,
    queuedAt,
    startedAt: status === 'queued' ? undefined : startedAt,
    endedAt: isOpen ? undefined : (endedAt ?? (status === 'succeeded' ? undefined : latest)),
    metrics: measured({
      mem_max_mb: readMegabytes('peak_rss', row.peak_rss),
      cpu_percent: readNumber('%cpu', row['%cpu']?.replace('%', '')),
    }),
    ofWait: filled({ queue: orNone(row.queue) }),
    ofStart: filled({
      task: name,
      hash: orNone(row.hash),
      native_id: orNone(row.native_id),
      queue: orNone(row.queue),
      host: orNone(row.hostname),
      container: orNone(row.container),
      resources: filled({
        cpus: readCount('cpus', row.cpus),
        memory_mb: readMegabytes('memory', row.memory),
      }),
    }),
    ofEnd: filled({
      exit_code: row.exit === noExit ? undefined : readCount('exit', row.exit),
      reason: state === 'ABORTED' ? 'the run was aborted' : undefined,
    }),
  })
}

type Times = Record<'queuedAt' | 'startedAt' | 'endedAt', Micros | undefined>

/** The usual fields have the submission and two durations; the start and the end follow from them. */
function readTimes(row: Row, context: ImportContext): Times {
  const queuedAt = readAtOrNone('submit', row.submit, context)
  const duration = readDuration('duration', row.duration)
  const realtime = readDuration('realtime', row.realtime)
  const endedAt = readAtOrNone('complete', row.complete, context) ?? add(queuedAt, duration)
  const startedAt =
    readAtOrNone('start', row.start, context) ??
    add(endedAt, realtime === undefined ? undefined : -realtime)
  return { queuedAt, startedAt, endedAt }
}

const add = (at: Micros | undefined, ms: number | undefined): Micros | undefined =>
  at === undefined || ms === undefined
    ? undefined
    : inRange(toMicros(at) + BigInt(Math.round(ms * 1000)))

function inRange(micros: bigint): Micros {
  if (micros >= 0n && micros < 253_402_300_800_000_000n) return fromMicros(micros)
  throw new BadValue('duration: leads to a time outside of 1970 to 9999')
}

const unitMs: Record<string, number> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 }

/** Milliseconds of `1d 2h 3m 4.5s`, `350ms`, or of a raw number; undefined where there is none. */
function readDuration(name: string, text: string | undefined): number | undefined {
  if (isNone(text)) return undefined
  if (/^\d+$/.test(text)) return Number(text)
  if (!/^(?:\d+(?:\.\d+)?(?:ms|[smhd]) ?)+$/.test(`${text}`)) {
    throw new BadValue(`${name}: ${shorten(text)} is not a duration`)
  }
  let ms = 0
  for (const [, number, unit] of text.matchAll(/(\d+(?:\.\d+)?)(ms|[smhd])/g)) {
    ms += Number(number) * (unitMs[unit as string] as number)
  }
  return ms
}
