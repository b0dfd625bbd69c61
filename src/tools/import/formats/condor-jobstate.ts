import { Lru } from '../../../platform/lru.ts'
import {
  BadValue,
  type ImportContext,
  jobsRemembered,
  type Metadata,
  type Observation,
  type Skipped,
} from '../format.ts'
import { copyText, filled, lookUp, readAt, shorten } from '../values.ts'

/*
 * Lines of the job state log of DAGMan:
 *
 *   1292620511 INTERNAL *** DAGMAN_STARTED 4972.0 ***
 *   1292620525 NodeA SUBMIT 4973.0 local - 1
 *
 * A run of the workflow is a job, and a node of it a subjob, tried again with the next sequence number. A rescue
 * run is a job of its own, because DAGMan is a new one. A node without a workflow before it is a job.
 */
export class JobStates {
  #workflow: string | undefined
  #nodes = new Lru<string, Node>(jobsRemembered);

  *observe(line: string, context: ImportContext): Generator<Observation | Skipped> {
    const [time = '', name = '', state = '', ...rest] = line.split(' ')
    const at = readAt('time', time, context)
    if (name === 'INTERNAL') return yield* this.#observeWorkflow(rest, at)
    const [id, site, , sequence = ''] = rest
    const words = lookUp(tell, state)
    if (words === undefined && !known.has(state)) {
      throw new BadValue(`${shorten(state)} is not a state of a node`)
    }
    if (!/^\d+$/.test(sequence)) throw new BadValue('has no sequence number at its end')
    const node = this.#find(name, sequence)
    const told = words?.(id ?? '', node)
    if (told === undefined) return yield { skipped: `state ${state}` }
    yield {
      job: `${this.#workflow ?? ''}/${name}`,
      ...(this.#workflow === undefined ? {} : { parent: this.#workflow }),
      ...{ app: name.replace(/_ID\d+$/, ''), key: name, attempt: node.attempt, at },
      ...told,
      metadata: filled({ ...told.metadata, site: site === '-' ? undefined : site }),
    }
  }

  /** Sequence numbers count over all nodes: a higher one of a node is its next attempt. */
  #find(name: string, sequence: string): Node {
    const known = this.#nodes.get(name)
    const node = known ?? { attempt: 1, sequence: copyText(sequence), exitCode: undefined }
    if (node.sequence !== sequence) {
      node.attempt++
      node.sequence = copyText(sequence)
      node.exitCode = undefined
    }
    if (!known) this.#nodes.set(copyText(name), node)
    return node
  }

  *#observeWorkflow(
    [state, id]: readonly string[],
    at: Observation['at'],
  ): Generator<Observation | Skipped> {
    if (state === 'DAGMAN_STARTED') {
      this.#workflow = copyText(`dagman ${id}`)
      this.#nodes = new Lru(jobsRemembered)
    }
    const job = this.#workflow
    if (job === undefined || (state !== 'DAGMAN_STARTED' && state !== 'DAGMAN_FINISHED')) {
      return yield { skipped: `state ${state}` }
    }
    const who = { job, app: 'dagman', key: job.replace(/^dagman /, ''), at }
    if (state === 'DAGMAN_STARTED') return yield { ...who, kind: 'started' }
    const code = Number(id)
    if (!Number.isInteger(code)) throw new BadValue(`${shorten(String(id))} is not an exit code`)
    const end = code === 0 ? succeeded : failed
    yield { ...who, ...end, metadata: { exit_code: code } }
    this.#workflow = undefined
  }
}

type Node = { attempt: number; sequence: string; exitCode: number | undefined }
type Told = Pick<Observation, 'kind' | 'status'> & { metadata?: Metadata | undefined }
type Tell = (id: string, node: Node) => Told | undefined

const succeeded = { kind: 'finished', status: 'succeeded' } as const
const failed = { kind: 'error', status: 'failed' } as const

const fail = (metadata: Metadata): Told => ({ ...failed, metadata })

/**
 * By the state. The script after a job has the last word about its node, so it ends what the job ended before;
 * its line has the id of the job and not its exit code, which is that of the job before it.
 */
const tell: Record<string, Tell> = {
  SUBMIT: (id) => ({ kind: 'queued', metadata: { native_id: id } }),
  ...named('SUBMIT_FAILURE SUBMIT_FAILED GRID_SUBMIT_FAILED GLOBUS_SUBMIT_FAILED', () =>
    fail({ error: 'could not be submitted' }),
  ),
  EXECUTE: (id) => ({ kind: 'started', metadata: { native_id: id } }),
  JOB_SUCCESS: (id, node) => {
    node.exitCode = Number(id) || 0
    return { ...succeeded, metadata: { exit_code: node.exitCode } }
  },
  ...named('JOB_FAILURE JOB_FAILED', (id, node) => {
    node.exitCode = Number.isInteger(Number(id)) ? Number(id) : undefined
    return fail({ exit_code: node.exitCode })
  }),
  JOB_ABORTED: () => ({ kind: 'canceled', status: 'canceled', metadata: { reason: 'aborted' } }),
  JOB_HELD: () => ({ kind: 'queued', metadata: { reason: 'held' } }),
  JOB_RELEASED: () => ({ kind: 'queued', metadata: { reason: 'released' } }),
  JOB_EVICTED: () => ({ kind: 'queued', metadata: { reason: 'evicted' } }),
  JOB_SUSPENDED: () => ({ kind: 'queued', metadata: { reason: 'suspended' } }),
  JOB_UNSUSPENDED: () => ({ kind: 'started' }),
  ...named('PRE_SCRIPT_FAILURE PRE_SCRIPT_FAILED', () =>
    fail({ error: 'the script before the job failed' }),
  ),
  POST_SCRIPT_SUCCESS: (_id, { exitCode }) => ({
    ...succeeded,
    metadata: filled({ exit_code: exitCode }),
  }),
  ...named('POST_SCRIPT_FAILURE POST_SCRIPT_FAILED', (_id, { exitCode }) =>
    fail({ error: 'the script after the job failed', exit_code: exitCode }),
  ),
}

/** DAGMan and Pegasus, and their versions, write some states differently. */
function named(names: string, said: Tell): Record<string, Tell> {
  return Object.fromEntries(names.split(' ').map((name) => [name, said]))
}

/** States that say nothing that the others do not. */
const known: ReadonlySet<string> = new Set([
  ...['PRE_SCRIPT_STARTED', 'PRE_SCRIPT_TERMINATED', 'PRE_SCRIPT_SUCCESS'],
  ...['JOB_TERMINATED', 'IMAGE_SIZE'],
  ...['POST_SCRIPT_STARTED', 'POST_SCRIPT_TERMINATED', 'GRID_SUBMIT', 'GLOBUS_SUBMIT'],
  ...['JOB_DISCONNECTED', 'JOB_RECONNECTED', 'JOB_RECONNECT_FAILED', 'REMOTE_ERROR'],
  ...['SHADOW_EXCEPTION', 'GENERIC', 'NODE_EXECUTE', 'NODE_TERMINATED', 'JOB_STAGE_IN'],
  ...['JOB_STAGE_OUT', 'JOB_AD_INFORMATION', 'ATTRIBUTE_UPDATE', 'FILE_TRANSFER', 'DONE'],
])
