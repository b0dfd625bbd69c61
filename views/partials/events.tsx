import type { StoredEvent } from '../../src/core/job.ts'
import { type Micros, parseTime, secondsBetween } from '../../src/core/time.ts'
import { clockMs, cut, day, duration, measured, number, plain } from '../format.ts'
import { Scroll } from './scroll.tsx'

type Props = { events: readonly StoredEvent[]; now: Micros }

/** The events of a job as they were received, newest first. */
export function EventsTable({ events, now }: Props) {
  return (
    <Scroll label="Events, table">
      <table class="t stack">
        <caption class="vh">Events, newest first</caption>
        <thead>
          <tr>
            <th scope="col">At</th>
            <th scope="col">Kind</th>
            <th scope="col">Detail</th>
            <th scope="col">Sidecar</th>
            <th scope="col" class="n">
              Seq
            </th>
            <th scope="col" class="n">
              Received after
            </th>
          </tr>
        </thead>
        <tbody>
          {events.toReversed().map((event) => (
            <EventRow event={event} now={now} />
          ))}
        </tbody>
      </table>
    </Scroll>
  )
}

function EventRow({ event, now }: { event: StoredEvent; now: Micros }) {
  const { kind, at, detail } = readEvent(event)
  const receivedAt = timeIn(event.received_at)
  const source = recordIn(event.source)
  return (
    <tr>
      <td>{at === undefined ? '' : stamp(at, now)}</td>
      <th scope="row" class="k">
        {kind}
      </th>
      <td class="x br">{detail}</td>
      <td>{cut(textIn(source.id), 40)}</td>
      <td class="n" data-l="seq">
        {typeof source.seq === 'number' ? number(source.seq) : ''}
      </td>
      <td class="n" data-l="received after">
        {at === undefined || receivedAt === undefined
          ? ''
          : duration(secondsBetween(at, receivedAt))}
      </td>
    </tr>
  )
}

const stamp = (at: Micros, now: Micros) =>
  day(at) === day(now) ? clockMs(at) : `${day(at)} ${clockMs(at)}`

/** The parts of an event that are shown. An event is what a program sent: nothing is taken for granted. */
export function readEvent(event: StoredEvent) {
  const body = recordIn(event.event)
  const metrics = Object.entries(recordIn(body.metrics)).map(
    ([name, value]) => `${name} ${typeof value === 'number' ? measured(value) : plain(value)}`,
  )
  const metadata = Object.entries(recordIn(body.metadata)).map(
    ([name, value]) => `${name}: ${cut(plain(value), 120)}`,
  )
  const kind = textIn(body.kind)
  const status = textIn(body.status)
  const implied = { finished: 'succeeded', canceled: 'canceled' }[kind] ?? 'running'
  return {
    kind,
    at: timeIn(body.at),
    detail: cut(
      [...(status === implied ? [] : [status]), ...metrics, ...metadata]
        .filter((part) => part !== '')
        .join(', '),
      400,
    ),
  }
}

const textIn = (value: unknown): string => (typeof value === 'string' ? value : '')
const timeIn = (value: unknown): Micros | undefined =>
  typeof value === 'string' ? parseTime(value) : undefined
const recordIn = (value: unknown): Record<string, unknown> =>
  typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}

export { recordIn, textIn, timeIn }
