import { hash } from 'node:crypto'
import { maxAttempt } from '../../core/event.ts'
import type { Micros } from '../../core/time.ts'
import { isUuid, uuidV5 } from '../../core/uuid.ts'
import { cleanText } from '../../sdk/clean.ts'
import type { DistinctTimes } from '../replay/distinct.ts'
import { BadValue, type Observation } from './format.ts'

/** Where the events of a file belong. */
export type Target = {
  siteId: string
  /** The system that the file is from: ids are its own. */
  system: string
  /** The app of every job; without it, what the file says. */
  app?: string | undefined
}

const ignore = () => {}
const cut = (text: string, max: number) => cleanText(text, max, ignore)

/**
 * The event of an observation. Its id and its key follow from the observation and the target, so that a second
 * import sends the same events and changes nothing. The key does not depend on the metadata: what a later file
 * adds to a row of accounting does not start the job once more.
 *
 * @throws BadValue
 */
export function toEvent(observation: Observation, target: Target, times: DistinctTimes): WireEvent {
  const { job, parent, key, attempt = 1, at } = observation
  if (job === '') throw new BadValue('has no id')
  if (attempt > maxAttempt) throw new BadValue(`attempt: ${attempt} is over ${maxAttempt}`)
  const name = cut(target.app ?? observation.app ?? target.system, 200)
  const id = toId(job, target)
  const said = {
    site_id: target.siteId,
    app: {
      app_id: toAppId(name),
      name,
      version: cut(observation.version ?? '', 64),
    },
    entity: {
      type: parent === undefined ? 'job' : 'subjob',
      id,
      ...(parent === undefined ? {} : { parent_id: toId(parent, target) }),
      [parent === undefined ? 'business_key' : 'sub_key']: cut(key, 256),
      ...(attempt === 1 ? {} : { attempt }),
    },
    event: toFact(observation),
    ...(observation.traceparent === undefined ? {} : { traceparent: observation.traceparent }),
    historical: true,
  }
  said.event.at = times.take(`${id} ${attempt}`, at, hash('sha1', JSON.stringify(said), 'base64'))
  const identity = [id, attempt, said.event.kind, said.event.status, said.event.at]
  return { idempotency_key: uuidV5(identity.join('\n')), ...said }
}

/** The app of the last event is usually that of the next one. */
let lastApp = { name: '', id: '' }

function toAppId(name: string): string {
  if (lastApp.name !== name) lastApp = { name, id: uuidV5(`app\n${name}`) }
  return lastApp.id
}

export type WireEvent = {
  idempotency_key: string
  site_id: string
  app: object
  entity: { type: string; id: string }
  event: ReturnType<typeof toFact>
}

const toId = (job: string, { siteId, system }: Target): string =>
  isUuid(job) ? job.toLowerCase() : uuidV5(`import\n${siteId}\n${system}\n${job}`)

/** `at` may be moved by microseconds; the start and the end stay as the file has them. */
function toFact({ kind, at, status, startedAt, endedAt, metrics, metadata }: Observation) {
  const ends = kind === 'finished' || kind === 'canceled' || (kind === 'error' && !!status)
  const start: Micros | undefined = kind === 'started' ? (startedAt ?? at) : startedAt
  return {
    kind,
    at,
    ...(status === undefined ? {} : { status }),
    ...(start === undefined ? {} : { started_at: start }),
    ...(ends ? { ended_at: endedAt ?? at } : {}),
    ...(metrics === undefined ? {} : { metrics }),
    ...(metadata === undefined || Object.keys(metadata).length === 0 ? {} : { metadata }),
  }
}
