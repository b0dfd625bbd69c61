import type { StoredEvent } from '../../src/core/job.ts'
import { type Micros, secondsBetween } from '../../src/core/time.ts'
import { cut, duration, number, whenMs } from '../format.ts'
import { readEvent, toRecord, toText, toTime } from '../stored-event.ts'
import { type Column, DataTable } from './data-table.tsx'

type Props = {
  caption: string
  events: readonly StoredEvent[]
  now: Micros
  empty?: string
}

type Row = ReturnType<typeof toRow>

/** Events of a job as they were received, in the order given. */
export function EventsTable({ caption, events, now, empty }: Props) {
  return (
    <DataTable
      caption={caption}
      stack
      columns={columns(now)}
      rows={events.map(toRow)}
      {...(empty === undefined ? {} : { empty })}
    />
  )
}

function toRow(event: StoredEvent) {
  const { id, seq } = toRecord(event.source)
  return {
    ...readEvent(event),
    receivedAt: toTime(event.received_at),
    sidecar: toText(id),
    seq: typeof seq === 'number' ? seq : undefined,
  }
}

const columns = (now: Micros): Column<Row>[] => [
  { head: 'At', cell: ({ at }) => (at === undefined ? '' : whenMs(at, now)) },
  { head: 'Kind', rowHeader: true, class: 'k', cell: ({ kind }) => cut(kind, 40) },
  { head: 'Detail', class: 'x br', cell: ({ detail }) => detail },
  { head: 'Sidecar', cell: ({ sidecar }) => cut(sidecar, 40) },
  { head: 'Seq', number: true, cell: ({ seq }) => number(seq) },
  { head: 'Received after', number: true, cell: delayText },
]

const delayText = ({ at, receivedAt }: Row) =>
  at === undefined || receivedAt === undefined ? '' : duration(secondsBetween(at, receivedAt))
