import type { Source } from '../../src/core/questions/sources.ts'
import { skewLimitS } from '../../src/core/sender-clocks.ts'
import { lagLimitS } from '../../src/core/source-state.ts'
import { type Micros, secondsBetween } from '../../src/core/time.ts'
import { age, count, cut, duration, number, signed } from '../format.ts'
import { withQuery } from '../urls.ts'
import { type Column, DataTable } from './data-table.tsx'

type Props = {
  caption: string
  sources: readonly Source[]
  now: Micros
  /** For links; undefined where there is only one site. */
  site: string | undefined
  /** Losses are accepted here, and not at another place. */
  accepts: boolean
  empty: string
}

/** What each sidecar last said, how old that is, and what is missing of it. */
export function SidecarTable({ caption, sources, now, site, accepts, empty }: Props) {
  const columns = accepts ? [...columnsAt(now), acceptColumn(site)] : columnsAt(now)
  return <DataTable caption={caption} stack columns={columns} rows={sources} empty={empty} />
}

const columnsAt = (now: Micros): Column<Source>[] => [
  {
    head: 'Source',
    rowHeader: true,
    class: 'k',
    title: ({ epoch, host, version }) =>
      [`spool ${epoch}`, host && `on ${host}`, version && `version ${version}`]
        .filter(Boolean)
        .join(', '),
    cell: ({ id, site }) => cut(site === undefined ? id : `${site}/${id}`, 40),
  },
  { head: 'State', cell: (source) => <State source={source} now={now} /> },
  {
    head: 'Waiting',
    number: true,
    // What waits at a silent one now is not known.
    cell: ({ waiting, state }) =>
      waiting === null ? 'not known' : `${state === 'silent' ? 'was ' : ''}${number(waiting)}`,
  },
  {
    head: 'Lag',
    number: true,
    cell: ({ lagS, state }) => (lagS === null || state === 'silent' ? 'not known' : duration(lagS)),
  },
  { head: 'Last word', number: true, folded: 'last', cell: (source) => lastWord(source, now) },
  { head: 'Received', number: true, cell: ({ received }) => number(received) },
  {
    head: 'Missing',
    number: true,
    title: ({ accepted }) =>
      accepted > 0 ? `${count(accepted, 'event')} accepted as lost` : undefined,
    cell: ({ missing, accepted }) =>
      accepted > 0 ? `${number(missing)} (${number(accepted)} accepted)` : number(missing),
  },
  {
    head: 'Clock s',
    number: true,
    folded: 'clock',
    title: ({ clockOf }) => (clockOf === null ? undefined : `the clock of ${clockOf}`),
    cell: ({ clockOffsetS }) => signed(clockOffsetS),
  },
]

const acceptColumn = (site: string | undefined): Column<Source> => ({
  head: 'Accept',
  headHidden: true,
  cell: (source) =>
    canAccept(source) ? (
      <a href={withQuery('/pipeline/accept', { site, source: source.id })}>
        Accept the loss<span class="vh"> of {source.id}</span>
      </a>
    ) : null,
})

/** True where a person may say that what is missing, or what waits, is lost. */
const canAccept = ({ missing, state }: Source) => missing > 0 || state === 'silent'

/** Of its last heartbeat; of one that sends none, the last delivery. */
function lastWord({ heardAt, lastSeenAt }: Source, now: Micros): string {
  const at = heardAt ?? lastSeenAt
  return at === null ? 'never' : `${age(Math.max(0, secondsBetween(at, now)))} ago`
}

function State({ source, now }: { source: Source; now: Micros }) {
  const faults = describeFaults(source, now)
  const word = stateWords[source.state]
  if (faults === '') return <>{word}</>
  const both = source.state === 'silent' ? faults : `${word}, ${faults}`
  return <b>{both}</b>
}

const stateWords: Record<Source['state'], string> = {
  reporting: 'reporting',
  silent: 'silent',
  unknown: 'not known: sends no heartbeat',
  gone: 'stopped, spool empty',
  retired: 'retired',
  replaced: 'replaced by a later start',
}

/** The faults of a source in words; empty when none is known. */
export function describeFaults(source: Source, now: Micros): string {
  const { state, heardAt, waiting, missing, reused, lagS, trouble, clockOffsetS, clockOf } = source
  const words: string[] = []
  if (state === 'silent') {
    const since = heardAt === null ? '' : ` for ${age(Math.max(0, secondsBetween(heardAt, now)))}`
    words.push(`silent${since}${waiting ? `, ${count(waiting, 'event')} waited then` : ''}`)
  }
  if (missing > 0) words.push(`${number(missing)} missing`)
  if (reused > 0) words.push(`${number(reused)} numbers used twice`)
  if (state === 'reporting' && (lagS ?? 0) > lagLimitS) words.push('delivers late')
  if (trouble !== null) words.push(trouble)
  const whose = clockOf === null ? 'clock' : `clock of ${cut(clockOf, 40)}`
  if (clockOffsetS > skewLimitS) words.push(`${whose} ahead`)
  if (clockOffsetS < -skewLimitS) words.push(`${whose} behind`)
  return words.join(', ')
}
