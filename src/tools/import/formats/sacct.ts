import type { JobStatus } from '../../../core/job.ts'
import { Lru } from '../../../platform/lru.ts'
import {
  BadValue,
  defineFormat,
  type ImportContext,
  jobsRemembered,
  type Metadata,
  type Observation,
  type Skipped,
} from '../format.ts'
import { observeRecord } from '../record.ts'
import { cutTable, type Row } from '../table.ts'
import {
  copyText,
  filled,
  lookUp,
  measured,
  orNone,
  readAtOrNone,
  readClock,
  readCount,
  readMegabytes,
  shorten,
} from '../values.ts'

/*
 * Slurm accounting: `sacct --parsable2 --duplicates`, with its head row and any fields in any order.
 *
 * A row is one attempt of a job, or a step of it (`123.batch`), which becomes a subjob. A job that was requeued
 * has a row for each time it was submitted (`--duplicates`), told apart by `Submit`, as Slurm's own manual says.
 */
export const sacct = defineFormat<Row>({
  options: ['delimiter'],
  cut: (source, { delimiter = '|' }) =>
    cutTable(source, {
      delimiter,
      needed: ['JobID', 'State', 'Start', 'End'],
      toName: (name) => name.toLowerCase(),
    }),
  observe(context) {
    const attempts = new Attempts()
    return (row) => observeRow(row, attempts, context)
  },
})

/** How a state ends a job; the words before `by` and `+`, and the short forms of squeue. */
const states: Record<string, JobStatus> = {
  ...ofStatus('queued', 'PENDING PD CONFIGURING CF REQUEUE_HOLD RH REQUEUE_FED RF'),
  ...ofStatus('running', 'RUNNING R COMPLETING CG SUSPENDED S STOPPED ST RESIZING RS SIGNALING SI'),
  ...ofStatus('running', 'STAGE_OUT SO'),
  ...ofStatus('succeeded', 'COMPLETED CD'),
  ...ofStatus('failed', 'FAILED F TIMEOUT TO NODE_FAIL NF OUT_OF_MEMORY OOM BOOT_FAIL BF'),
  ...ofStatus('failed', 'DEADLINE DL LAUNCH_FAILED RECONFIG_FAIL SPECIAL_EXIT SE'),
  ...ofStatus('canceled', 'CANCELLED CA PREEMPTED PR REVOKED RV REQUEUED RQ REQUEUE'),
}

function ofStatus(status: JobStatus, names: string): Record<string, JobStatus> {
  return Object.fromEntries(names.split(' ').map((name) => [name, status]))
}

/** Of the jobs of a file: their names, and how often they were submitted. */
class Attempts {
  readonly #jobs = new Lru<string, { app: string; submits: string[]; latest: number }>(
    jobsRemembered,
  )

  /** @returns the attempt that a row is of, from 1 */
  take(job: string, app: string, submit: string, restarts: number | undefined): number {
    const known = this.#jobs.get(job) ?? { app: copyText(app), submits: [], latest: 1 }
    if (!known.submits.includes(submit)) known.submits.push(copyText(submit))
    known.latest = restarts === undefined ? known.submits.indexOf(submit) + 1 : restarts + 1
    this.#jobs.set(copyText(job), known)
    return known.latest
  }

  /** Of the row of the job before a step. */
  find(job: string): { app: string | undefined; attempt: number } {
    const known = this.#jobs.get(job)
    return { app: known?.app, attempt: known?.latest ?? 1 }
  }
}

function* observeRow(
  row: Row,
  attempts: Attempts,
  context: ImportContext,
): Generator<Observation | Skipped> {
  const id = orNone(row.jobid)
  if (id === undefined) throw new BadValue('JobID: is empty')
  if (/_\[/.test(id)) return yield { skipped: 'tasks of an array that have no jobs yet' }
  const [job = '', step] = id.split(/\.(.*)/s)
  const cluster = orNone(row.cluster)
  const state = orNone(row.state)?.split(/[ +]/)[0]?.toUpperCase()
  if (state === undefined) throw new BadValue('State: is empty')
  const status = lookUp(states, state) ?? 'unknown'
  const [queuedAt, startedAt, endedAt] = [row.submit, row.start, row.end].map((text, i) =>
    readAtOrNone(['Submit', 'Start', 'End'][i] as string, text, context),
  )
  const of = step === undefined ? takeJob(row, job, attempts) : attempts.find(job)
  const prefix = cluster === undefined ? '' : `${cluster}:`
  const isOpen = status === 'queued' || status === 'running'
  yield* observeRecord({
    job: prefix + id,
    ...(step === undefined ? {} : { parent: prefix + job }),
    key: step ?? id,
    app: of.app,
    attempt: of.attempt,
    status,
    ...(step === undefined ? { queuedAt } : {}),
    startedAt: status === 'queued' || neverRan(row, status) ? undefined : startedAt,
    endedAt: isOpen ? undefined : endedAt,
    metrics: metricsOf(row),
    ofWait: filled({
      reason: status === 'queued' ? orNone(row.reason) : undefined,
      queue: orNone(row.partition),
      eligible_at: readAtOrNone('Eligible', row.eligible, context),
    }),
    ofStart: describeStart(row, step),
    ofEnd: describeEnd(row, state, status),
  })
}

/** A job that is canceled while it waits has its end as its start. */
const neverRan = ({ nodelist, start, end }: Row, status: JobStatus): boolean =>
  nodelist === 'None assigned' || (status === 'canceled' && nodelist === undefined && start === end)

function takeJob(row: Row, job: string, attempts: Attempts) {
  const app = orNone(row.jobname) ?? 'slurm'
  const submit = orNone(row.submit) ?? orNone(row.start) ?? ''
  return { app, attempt: attempts.take(job, app, submit, readCount('Restarts', row.restarts)) }
}

function describeStart(row: Row, step: string | undefined): Metadata | undefined {
  const limit = /^\d/.test(row.timelimit ?? '') ? readClock('Timelimit', row.timelimit) : undefined
  return filled({
    user: orNone(row.user),
    account: orNone(row.account),
    cluster: orNone(row.cluster),
    queue: orNone(row.partition),
    qos: orNone(row.qos),
    priority: readCount('Priority', row.priority),
    host: row.nodelist?.startsWith('None') ? undefined : orNone(row.nodelist),
    step: step === undefined ? undefined : orNone(row.jobname),
    max_duration_s: limit === 0 ? undefined : limit,
    resources: filled({
      cpus: readCount('ReqCPUS', row.reqcpus ?? row.alloccpus ?? row.ncpus),
      memory_mb: readRequested(row),
      gpus: Number(/gres\/gpu=(\d+)/.exec(row.reqtres ?? row.alloctres ?? '')?.[1]) || undefined,
    }),
  })
}

/** `16G`, or with `c` for each CPU and `n` for each node. */
function readRequested({ reqmem = '', reqcpus, ncpus, alloccpus, nnodes }: Row) {
  const [, size, per] = /^(.*?)([cn])?$/.exec(reqmem) ?? []
  const megabytes = readMegabytes('ReqMem', size)
  if (megabytes === undefined || per === undefined) return megabytes
  const times = per === 'c' ? (reqcpus ?? ncpus ?? alloccpus) : nnodes
  return megabytes * (readCount('ReqMem', times) ?? 1)
}

function describeEnd(row: Row, state: string, status: JobStatus): Metadata | undefined {
  const { code, signal } = readExit(row.exitcode)
  const told = state === 'COMPLETED' || state === 'CD' || state === 'FAILED' || state === 'F'
  return filled({
    exit_code: code,
    signal,
    // `CANCELLED by 1000`: who did it.
    reason: reasonOf(row.state as string, status, told),
    error_type: status === 'failed' && !told ? state : undefined,
  })
}

function reasonOf(text: string, status: JobStatus, told: boolean): string | undefined {
  if (status === 'unknown') return `the outcome is not known (${text})`
  return told ? undefined : text
}

/** `1:0`: the exit code of the process, and the signal that ended it. */
function readExit(text: string | undefined): { code?: number; signal?: number } {
  if (orNone(text) === undefined) return {}
  const [, code, signal] = /^(\d+):(\d+)$/.exec(text as string) ?? []
  if (code === undefined)
    throw new BadValue(`ExitCode: ${shorten(text as string)} is not CODE:SIGNAL`)
  return { code: Number(code), ...(signal === '0' ? {} : { signal: Number(signal) }) }
}

const metricsOf = (row: Row) =>
  measured({
    cpu_user_s: readClock('UserCPU', row.usercpu),
    cpu_system_s: readClock('SystemCPU', row.systemcpu),
    cpu_total_s: readClock('TotalCPU', row.totalcpu),
    mem_max_mb: readMegabytes('MaxRSS', row.maxrss),
  })
