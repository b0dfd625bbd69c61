import { isOpen, type Job, type StoredEvent } from '../../src/core/job.ts'
import { type Micros, secondsBetween } from '../../src/core/time.ts'
import { age, cut, duration, number, whenMs } from '../format.ts'
import { readEvent, toRecord, toText, toTime } from '../stored-event.ts'
import { Panel } from './panel.tsx'
import { Step } from './step.tsx'

type Props = { job: Job; event: StoredEvent | undefined; now: Micros }

/** Where the newest event went and how long that took; then how long the job has been silent. */
export function DeliveryPath({ job, event, now }: Props) {
  if (event === undefined) return null
  const { at, kind } = readEvent(event)
  const receivedAt = toTime(event.received_at)
  if (at === undefined || receivedAt === undefined) return null
  const { id, seq } = toRecord(event.source)
  const sidecar = toText(id)
  const onDisk = typeof seq === 'number' ? `on disk, seq ${number(seq)}` : 'on disk'
  return (
    <Panel title="Delivery path" note={`of the newest event, ${cut(kind, 40)}`} class="all">
      <ol class="path">
        <Step name="Program" value={whenMs(at, now)} note="happened" />
        <Step
          name={sidecar === '' ? 'API' : `Sidecar ${cut(sidecar, 30)}`}
          value={`+${duration(Math.max(0, secondsBetween(at, receivedAt)))}`}
          note={sidecar === '' ? 'received, by no sidecar' : onDisk}
        />
        {isOpen(job.status) ? (
          <Step
            name="Since then"
            value={age(Math.max(0, secondsBetween(receivedAt, now)))}
            note="no event from this job"
            bad={job.lost || job.stuck}
          />
        ) : null}
      </ol>
    </Panel>
  )
}
