import type { WireEvent } from '../../src/sdk/event.ts'

/** The events of one job, in order of arrival. */
export function eventsOf(events: readonly WireEvent[], id: string): WireEvent[] {
  return events.filter((event) => event.entity.id === id)
}

/** The kinds of events, in order of arrival. */
export function kindsOf(events: readonly WireEvent[]): string[] {
  return events.map((event) => event.event.kind)
}

/** An emitter that only remembers. */
export function listening() {
  const events: WireEvent[] = []
  let repaired = 0
  return {
    events,
    send: (event: WireEvent) => void events.push(event),
    repaired: () => void repaired++,
    get repairs() {
      return repaired
    },
  }
}
