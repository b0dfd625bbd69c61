import type { Micros } from '../../../core/time.ts'
import {
  BadValue,
  type ImportContext,
  jobsRemembered,
  type Metadata,
  type Observation,
  type Skipped,
} from '../format.ts'
import { filled, lookUp, readAt } from '../values.ts'

/*
 * What the events of a case report. The case is a job: it starts with its first event, and ends with its last one
 * when no activity is open then. An activity is a subjob: events belong to the same one by `concept:instance`,
 * or else by their name, to the oldest that is open. An activity that was aborted and begins again is the next
 * attempt; one that was completed and occurs again is another subjob.
 */

/** A case, whose attributes stand before its events. */
export type CaseInfo = { number: number; log: Metadata; attributes: Metadata }
/** An event of a case, or its end. */
export type XesPiece = { case: CaseInfo; event: Metadata | undefined }

type Activity = { id: string; key: string; attempt: number; started: boolean; of: Named }
/** Of one name: how many there were, those that are open, and the last one when it was aborted. */
type Named = { count: number; open: Activity[]; aborted: Activity | undefined }

type Found = Iterable<Observation | Skipped>

export class Cases {
  #number = 0
  #case: Case | undefined

  observe(piece: XesPiece, context: ImportContext): Found {
    if (piece.case.number !== this.#number) {
      this.#number = piece.case.number
      this.#case = new Case(piece.case)
    }
    const current = this.#case as Case
    return piece.event === undefined ? current.end() : current.observe(piece.event, context)
  }
}

class Case {
  readonly #who: { job: string; app: string | undefined; key: string }
  readonly #attributes: Metadata
  readonly #activities = new Map<string, Named>()
  #open = 0
  #begun = false
  #lastAt: Micros = ''
  /** Of the activity that ended last. */
  #failed = false
  #aborted = false

  constructor({ number, log, attributes }: CaseInfo) {
    const name = toText(attributes['concept:name']) ?? `case ${number}`
    const id = toText(attributes['identity:id']) ?? name
    const process = toText(log['concept:name'])
    this.#who = { job: `${process ?? ''}/${id}`, app: process, key: name }
    this.#attributes = attributes
  }

  *observe(event: Metadata, context: ImportContext): Found {
    const name = toText(event['concept:name'])
    const time = toText(event['time:timestamp'])
    if (name === undefined) throw new BadValue('concept:name: is missing')
    if (time === undefined) throw new BadValue('time:timestamp: is missing')
    const at = readAt('time:timestamp', time, context)
    const transition = toText(event['lifecycle:transition'])?.toLowerCase() ?? 'complete'
    if (!this.#begun) yield { ...this.#who, kind: 'started', at, metadata: this.#describe() }
    this.#begun = true
    const step = lookUp(steps, transition) ?? happened
    const activity = this.#find(name, toText(event['concept:instance']), step)
    if (at >= this.#lastAt) this.#lastAt = at
    const told = this.#follow(activity, step, at)
    if (transition === 'pi_abort') this.#aborted = true
    yield {
      job: activity.id,
      ...{ parent: this.#who.job, app: name, key: activity.key, attempt: activity.attempt, at },
      ...told,
      metadata: describe(event, { transition, reason: step.reason }),
    }
  }

  *end(): Found {
    if (!this.#begun) return yield { skipped: 'a case without events' }
    if (this.#open > 0) return
    const failed = this.#failed || this.#aborted
    const told = failed
      ? ({ kind: 'error', status: 'failed' } as const)
      : ({ kind: 'finished', status: 'succeeded' } as const)
    const reason = this.#aborted ? 'the case was aborted' : 'its last activity was aborted'
    yield { ...this.#who, ...told, at: this.#lastAt, metadata: failed ? { reason } : undefined }
  }

  #describe(): Metadata | undefined {
    const { 'concept:name': _name, 'identity:id': _id, ...others } = this.#attributes
    return filled(others)
  }

  #find(name: string, instance: string | undefined, { begins }: Step): Activity {
    const own = instance === undefined ? name : `${name}\n${instance}`
    const named = this.#activities.get(own) ?? { count: 0, open: [], aborted: undefined }
    const open = begins ? named.open.find((one) => begins === 'run' && !one.started) : named.open[0]
    if (open) return open
    if (this.#open >= jobsRemembered || this.#activities.size >= jobsRemembered) {
      throw new BadValue(`more than ${jobsRemembered} activities of its case are open`)
    }
    this.#activities.set(own, named)
    const again = begins ? named.aborted : undefined
    if (again) again.attempt++
    const activity = again ?? this.#make(name, instance, named)
    activity.started = false
    named.aborted = undefined
    named.open.push(activity)
    this.#open++
    return activity
  }

  #make(name: string, instance: string | undefined, of: Named): Activity {
    const count = ++of.count
    const id = [this.#who.job, name, instance ?? '', count].join('\n')
    const key = count === 1 ? name : `${name} #${count}`
    return { id, key, attempt: 1, started: false, of }
  }

  /** Notes that an activity started or ended. */
  #follow(activity: Activity, { told, begins }: Step, at: Micros): Told {
    if (begins === 'run') activity.started = true
    if (told.status === undefined) return told
    const { open } = activity.of
    open.splice(open.indexOf(activity), 1)
    activity.of.aborted = told.status === 'failed' ? activity : undefined
    this.#open--
    if (at >= this.#lastAt) this.#failed = told.status === 'failed'
    return told
  }
}

type Told = Pick<Observation, 'kind' | 'status'>
/** `begins`: an activity is made by it where none waits for it. */
type Step = { told: Told; begins?: 'wait' | 'run'; reason?: string }

const canceled = { kind: 'canceled', status: 'canceled' } as const
const failed = { kind: 'error', status: 'failed' } as const

/** Something that is reported once, when it is done. */
const happened: Step = { told: { kind: 'finished', status: 'succeeded' } }

/** The transitions of the standard lifecycle; any other one is an event without a duration. */
const steps: Record<string, Step> = {
  schedule: { told: { kind: 'queued' }, begins: 'wait' },
  assign: { told: { kind: 'progress' } },
  reassign: { told: { kind: 'progress' } },
  start: { told: { kind: 'started' }, begins: 'run' },
  suspend: { told: { kind: 'queued' }, reason: 'suspended' },
  resume: { told: { kind: 'started' } },
  complete: happened,
  ate_abort: { told: failed, reason: 'aborted' },
  pi_abort: { told: failed, reason: 'aborted with its case' },
  withdraw: { told: canceled, reason: 'withdrawn' },
  manualskip: { told: canceled, reason: 'skipped by hand' },
  autoskip: { told: canceled, reason: 'skipped' },
}

const toText = (value: unknown): string | undefined =>
  value === undefined || value === '' ? undefined : String(value)

function describe(event: Metadata, said: Metadata): Metadata | undefined {
  const { 'concept:name': _name, 'concept:instance': _instance, ...others } = event
  const { 'time:timestamp': _at, 'lifecycle:transition': _transition, ...own } = others
  const { 'org:resource': resource, 'org:role': role, 'org:group': group, ...rest } = own
  return filled({ ...rest, resource, role, group, ...said })
}
