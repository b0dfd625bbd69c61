import * as z from 'zod'
import type { Micros } from '../../../core/time.ts'
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
import { cutJsonLines, parseObject } from '../json-lines.ts'
import { filled, lookUp, readAt } from '../values.ts'

/*
 * OpenLineage: an event per line. A run is a job, and a subjob when it names its parent; the job of the standard,
 * what is run again and again, is the app. A run that starts again after its end is the next attempt.
 */
export const openlineage = defineFormat<string>({
  cut: cutJsonLines,
  observe(context) {
    const runs = new Lru<string, Run>(jobsRemembered)
    return (line) => observeEvent(parseObject(line), runs, context)
  },
})

/** What is remembered of a run: its parent is often named by its first event alone. */
type Run = {
  parent: string | undefined
  /** The nominal time, which not every event of a run repeats. */
  key: string | undefined
  attempt: number
  /** When its attempt ended. */
  endedAt: Micros | undefined
}

const text = z.string()
const errorFacet = z.looseObject({
  message: text.optional().catch(undefined),
  programmingLanguage: text.optional().catch(undefined),
  stackTrace: text.optional().catch(undefined),
})
const dataset = z.looseObject({ namespace: text.catch(''), name: text.catch('') })
/** What cannot be told without; a facet that is not as the standard has it is left out. */
const eventSchema = z.looseObject({
  eventType: text,
  eventTime: text,
  run: z.looseObject({
    runId: z.guid(),
    facets: z
      .looseObject({
        parent: z
          .looseObject({ run: z.looseObject({ runId: z.guid() }) })
          .optional()
          .catch(undefined),
        nominalTime: z
          .looseObject({ nominalStartTime: text, nominalEndTime: text.optional().catch(undefined) })
          .optional()
          .catch(undefined),
        errorMessage: errorFacet.optional().catch(undefined),
        processing_engine: z
          .looseObject({ name: text, version: text.optional().catch(undefined) })
          .optional()
          .catch(undefined),
      })
      .optional()
      .catch(undefined),
  }),
  job: z.looseObject({ namespace: text.catch(''), name: text.min(1) }),
  producer: text.optional().catch(undefined),
  inputs: z.array(dataset).optional().catch(undefined),
  outputs: z.array(dataset).optional().catch(undefined),
})
type RunEvent = z.infer<typeof eventSchema>

function* observeEvent(
  json: Record<string, unknown>,
  runs: Lru<string, Run>,
  context: ImportContext,
): Generator<Observation | Skipped> {
  // Events about a job or a dataset itself say nothing of a run.
  if (json.run === undefined && json.eventTime !== undefined) {
    return yield { skipped: 'about no run' }
  }
  const read = eventSchema.safeParse(json)
  if (!read.success) {
    const { path, message } = read.error.issues[0] as z.core.$ZodIssue
    throw new BadValue(`${path.join('.')}: ${message}`)
  }
  const event = read.data
  const told = lookUp(tell, event.eventType.toUpperCase())
  if (told === undefined) throw new BadValue(`eventType: ${event.eventType} is not one of a run`)
  const at = readAt('eventTime', event.eventTime, context)
  const run = follow(runs, event, { ...told, at })
  yield {
    job: event.run.runId,
    ...(run.parent === undefined ? {} : { parent: run.parent }),
    app: event.job.name,
    key: run.key ?? event.run.runId,
    attempt: run.attempt,
    at,
    ...told,
    metadata: told.status ? describeEnd(event) : describeRun(event),
  }
}

type Told = Pick<Observation, 'kind' | 'status'>
const tell: Record<string, Told> = {
  START: { kind: 'started' },
  RUNNING: { kind: 'progress' },
  OTHER: { kind: 'progress' },
  COMPLETE: { kind: 'finished', status: 'succeeded' },
  FAIL: { kind: 'error', status: 'failed' },
  ABORT: { kind: 'canceled', status: 'canceled' },
}

function follow(
  runs: Lru<string, Run>,
  { run }: RunEvent,
  { kind, status, at }: Told & { at: Micros },
): Run {
  const id = run.runId.toLowerCase()
  const none = { parent: undefined, key: undefined, endedAt: undefined }
  const known = runs.get(id) ?? { ...none, attempt: 1 }
  runs.set(id, known)
  const parent = run.facets?.parent?.run.runId
  if (parent?.toLowerCase() !== id) known.parent ??= parent
  known.key ??= run.facets?.nominalTime?.nominalStartTime
  // A start from before the end came late: it is that of the attempt which ended.
  if (kind === 'started' && known.endedAt !== undefined && at >= known.endedAt) {
    known.attempt++
    known.endedAt = undefined
  }
  if (status !== undefined) known.endedAt = at
  return known
}

function describeRun({ job, run, producer, inputs, outputs }: RunEvent): Metadata | undefined {
  const { nominalTime, processing_engine: engine } = run.facets ?? {}
  return filled({
    namespace: job.namespace,
    nominal_start_at: nominalTime?.nominalStartTime,
    nominal_end_at: nominalTime?.nominalEndTime,
    engine: engine && [engine.name, engine.version].filter(Boolean).join(' '),
    producer,
    inputs: namesOf(inputs),
    outputs: namesOf(outputs),
  })
}

function describeEnd({ run, inputs, outputs }: RunEvent): Metadata | undefined {
  const { message, stackTrace, programmingLanguage } = run.facets?.errorMessage ?? {}
  return filled({
    error: message,
    stack: stackTrace,
    language: programmingLanguage,
    inputs: namesOf(inputs),
    outputs: namesOf(outputs),
  })
}

const datasetsShown = 20

const namesOf = (datasets: RunEvent['inputs']): string[] | undefined =>
  datasets && datasets.length > 0
    ? datasets.slice(0, datasetsShown).map(({ namespace, name }) => `${namespace}/${name}`)
    : undefined
