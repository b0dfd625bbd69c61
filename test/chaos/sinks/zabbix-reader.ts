import { eventId } from '../../../src/core/event-id.ts'
import type { PeerReader } from './peer-column.ts'
import { readLines, type Seen, type Sent, type SentByKey } from './seen.ts'

/*
 * Zabbix has values, and nothing else of an event. Its reader finds the value of an event by item, second and
 * nanosecond, as docs/INTEGRATIONS.md says them, and expects the number that it has there.
 */

/** A value: `key` is that of its item. `late`: of a time at which the item was unknown. */
export type ZabbixSeen = Seen & { value: string; late: boolean }

/** The parts of a key of an app whose name needs no quotes. */
export function toKnownItem(key: string): { kind: string; app: string } | undefined {
  const [, kind, app] = /^wafer\.(?:job|subjob)\.([a-z]+)\[([^"[\]{}, ]+)\]$/.exec(key) ?? []
  return kind === undefined || app === undefined ? undefined : { kind, app }
}

const values: Readonly<Record<string, RegExp>> = {
  started: /^1$/,
  progress: /^0\.5$/,
  // The time since its start, where that is known.
  finished: /^(\d{1,4}(\.\d+)?|\d(\.\d+)?e-\d+)$/,
}

/** The place of the value of an event. */
function toPlace(sent: Sent, app: string): string {
  const { entity, event } = sent
  const second = Math.floor(Date.parse(event.at) / 1000)
  const micros = Number(event.at.slice(20, 26))
  const hash = Number.parseInt(eventId(sent as never).slice(0, 8), 16) % 1000
  return `wafer.${entity.type}.${event.kind}[${app}] ${second} ${micros * 1000 + hash}`
}

/** @param app name of the app of all events */
export const readZabbix =
  (app: string) =>
  (journal: string): PeerReader => {
    let wrong: string[] = []
    const toSeen = (line: ZabbixSeen, sent: Sent): Seen => {
      const { kind } = sent.event
      if (!values[kind]?.test(line.value)) wrong.push(`the value ${line.value} of ${kind}`)
      const job = sent.entity.parent_id ?? sent.entity.id
      // What waited for its item comes out of order, but among its like.
      return {
        ...line,
        key: sent.idempotency_key,
        job: line.late ? `${job} ${line.key}` : job,
      }
    }
    return {
      read(sent: SentByKey) {
        wrong = []
        const byPlace = new Map([...sent.values()].map((one) => [toPlace(one, app), one]))
        return readLines<ZabbixSeen>(journal).flatMap((line) => {
          const found = byPlace.get(line.id)
          return found ? [toSeen(line, found)] : []
        })
      },
      complaints: () => wrong,
    }
  }
