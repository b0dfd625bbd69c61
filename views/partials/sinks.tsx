import type { SinkState, Source } from '../../src/core/questions/sources.ts'
import { lagLimitS } from '../../src/core/source-state.ts'
import { type Micros, secondsBetween } from '../../src/core/time.ts'
import { age, count, cut, duration, number } from '../format.ts'
import { type Column, DataTable } from './data-table.tsx'

/** Rows of the table of sinks. */
export const sinkRows = 200

/** A sink, with the sidecar that delivers to it. */
export type SinkOfSource = { source: Source; sink: SinkState }

/** The sinks of these sidecars, those that need a look first; at most `sinkRows`. */
export function listSinks(sources: readonly Source[]): { rows: SinkOfSource[]; total: number } {
  const known = new Map(sources.map((one) => [`${one.site}/${one.id}/${one.epoch}`, one]))
  const all = [...known.values()].flatMap((source) =>
    source.sinks.map((sink) => ({ source, sink })),
  )
  const sorted = all.toSorted((a, b) => rank(a.sink) - rank(b.sink))
  return { rows: sorted.slice(0, sinkRows), total: all.length }
}

/** Those that deliver nothing go first, then those with another fault. */
const rank = (sink: SinkState) =>
  (sink.status ?? sink.state) !== 'ok' ? 0 : describeSinkFaults(sink) !== '' ? 1 : 2

/** Where each sidecar delivers to: what waits, what was refused and what is not offered any more. */
export const SinkTable = ({ rows, now }: { rows: readonly SinkOfSource[]; now: Micros }) => (
  <DataTable
    caption="Sinks"
    stack
    columns={columnsAt(now)}
    rows={rows}
    empty="No sidecar has said yet where it delivers to."
  />
)

const columnsAt = (now: Micros): Column<SinkOfSource>[] => [
  {
    head: 'Sink',
    rowHeader: true,
    class: 'k',
    cell: ({ sink }) => cut(sink.name, 40),
  },
  {
    head: 'Sidecar',
    cell: ({ source: { id, site } }) => cut(site === undefined ? id : `${site}/${id}`, 40),
  },
  {
    head: 'State',
    title: ({ sink: { required } }) =>
      required === true ? 'required: what it is owed may close the door to programs' : undefined,
    cell: (row) => <State row={row} now={now} />,
  },
  { head: 'Waiting', number: true, cell: ({ sink }) => number(sink.lagEvents) },
  { head: 'Lag', number: true, cell: ({ sink }) => duration(sink.lagS) },
  { head: 'Rejects', number: true, cell: ({ sink }) => known(sink.rejects) },
  { head: 'Skipped', number: true, cell: ({ sink }) => known(sink.skipped) },
  { head: 'Last gap', rare: true, cell: ({ sink }) => describeGap(sink, now) },
]

const known = (value: number | null) => (value === null ? 'not known' : number(value))

function State({ row: { source, sink }, now }: { row: SinkOfSource; now: Micros }) {
  const faults = describeSinkFaults(sink)
  const { heardAt, state } = source
  const isOld = state !== 'reporting' && heardAt !== null
  const old = isOld ? `, as heard ${age(Math.max(0, secondsBetween(heardAt, now)))} ago` : ''
  return faults === '' ? <>ok{old}</> : <b>{`${faults}${old}`}</b>
}

/** The faults of a sink in words; empty when none is known. */
export function describeSinkFaults({ status, state, lagS, rejects, skipped }: SinkState): string {
  const words: string[] = []
  const said = status ?? state
  if (said !== 'ok') words.push(statusWords[said] ?? said)
  else if (state !== 'ok') words.push(state)
  else if (lagS > lagLimitS) words.push('delivers late')
  if (rejects) words.push(count(rejects, 'reject'))
  if (skipped) words.push(`${number(skipped)} skipped`)
  return words.join(', ')
}

const statusWords: Readonly<Record<string, string>> = {
  stopped: 'stopped, an operator has to act',
  detached: 'not configured any more, its events are kept',
  disabled: 'disabled, its events are kept',
}

function describeGap({ gapEvents, gapAt, gapReason }: SinkState, now: Micros): string {
  if (gapEvents === null || gapAt === null) return ''
  const when = `${age(Math.max(0, secondsBetween(gapAt, now)))} ago`
  return `${count(gapEvents, 'event')}, ${when}: ${cut(gapReason ?? '', 100)}`
}
