import { ConfigError } from '../../../core/errors.ts'
import type { JobStatus } from '../../../core/job.ts'
import { closestSpelling } from '../../../core/spelling.ts'
import {
  BadValue,
  defineFormat,
  type ImportContext,
  type Metadata,
  type Observation,
  type Skipped,
} from '../format.ts'
import { observeRecord } from '../record.ts'
import { cutTable, type Row } from '../table.ts'
import {
  filled,
  lookUp,
  measured,
  orNone,
  readAtOrNone,
  readCount,
  readNumber,
  shorten,
} from '../values.ts'

/*
 * Any table (RFC 4180) with a row per job, or per attempt of one. `--map id=JobID,started_at=Start` says which
 * column has which field; columns that are not named are left out.
 */
export const csv = defineFormat<Row>({
  options: ['map', 'delimiter'],
  cut(source, { map, delimiter = ',' }) {
    const columns = checkMap(map)
    return cutTable(source, { delimiter, quoted: true, needed: [...columns.values()] })
  },
  observe(context) {
    const columns = [...checkMap(context.map)]
    return (row) => {
      const fields = columns.map(([field, column]) => [field, orNone(row[column])] as const)
      return observeRow(Object.fromEntries(fields), context)
    }
  },
})

const ofJob = ['id', 'parent_id', 'key', 'app', 'version', 'attempt', 'status']
const times = ['queued_at', 'started_at', 'ended_at']
const ofEnd = ['exit_code', 'signal', 'error', 'error_type', 'message']
const numbers = ['heartbeat_s', 'max_duration_s']
const texts = [
  ...['user', 'host', 'queue', 'tool', 'chamber', 'recipe', 'step', 'route', 'priority', 'lot'],
  ...['carrier_id'],
]
/** Fields that a column can have; others are `metadata.NAME` and `metrics.NAME`. */
const known = [...ofJob, ...times, ...ofEnd, 'reason', 'due_at', ...numbers, ...texts]

type Fields = Record<string, string | undefined>

function checkMap(map: ReadonlyMap<string, string> | undefined): ReadonlyMap<string, string> {
  if (!map?.has('id')) {
    throw new ConfigError('--map: name the column of the id, such as --map id=JobID,status=State')
  }
  for (const field of map.keys()) {
    if (known.includes(field) || /^(?:metadata|metrics)\.[^.]+/.test(field)) continue
    const meant = closestSpelling(field, known)
    const list = `it is one of ${known.join(', ')}, metadata.NAME, metrics.NAME`
    throw new ConfigError(
      `--map: there is no field ${field}; ${meant ? `did you mean ${meant}?` : list}`,
    )
  }
  return map
}

/** Words that tables use for what became of a job, in lower case. */
const words: Record<string, JobStatus> = {
  ...ofStatus('queued', 'queued pending waiting submitted created scheduled new idle held'),
  ...ofStatus('running', 'running started active in_progress executing processing'),
  ...ofStatus('succeeded', 'succeeded success successful completed complete done finished ok pass'),
  ...ofStatus('succeeded', 'passed'),
  ...ofStatus('failed', 'failed failure fail error aborted timeout crashed'),
  ...ofStatus('canceled', 'canceled cancelled killed skipped terminated'),
  ...ofStatus('unknown', 'unknown'),
}

function ofStatus(status: JobStatus, names: string): Record<string, JobStatus> {
  return Object.fromEntries(names.split(' ').map((name) => [name, status]))
}

function observeRow(fields: Fields, context: ImportContext): Iterable<Observation | Skipped> {
  const { id, parent_id: parent, key, app, version } = fields
  if (id === undefined) throw new BadValue('id: is empty')
  const time = (name: string) => readAtOrNone(name, fields[name], context)
  const endedAt = time('ended_at')
  const { status, outcome } = readStatus(fields, endedAt !== undefined)
  const reason = outcome ?? fields.reason
  return observeRecord({
    ...{ job: id, parent, key: key ?? id, app, version, status },
    attempt: readCount('attempt', fields.attempt, 1),
    queuedAt: time('queued_at'),
    startedAt: time('started_at'),
    endedAt,
    metrics: readMetrics(fields),
    ofWait:
      status === 'queued'
        ? filled({ reason, message: fields.message })
        : filled({ queue: fields.queue }),
    ofStart: describeStart(fields, context),
    ofEnd: filled({
      exit_code: toValue(fields.exit_code),
      signal: toValue(fields.signal),
      error: fields.error,
      error_type: fields.error_type,
      message: fields.message,
      reason: status === 'queued' ? undefined : reason,
    }),
  })
}

/** The status by its word; without a column of it, by the exit code and the times. */
function readStatus(fields: Fields, hasEnd: boolean): { status: JobStatus; outcome?: string } {
  const { status: word, exit_code: code, started_at: start } = fields
  const plain = word?.toLowerCase().replaceAll(/[ -]/g, '_')
  const known = plain === undefined ? undefined : lookUp(words, plain)
  if (known !== undefined && known !== 'unknown') return { status: known }
  if (word !== undefined && !hasEnd) {
    throw new BadValue(`status: ${shorten(word)} is not a known word, and there is no end`)
  }
  if (word !== undefined) {
    return { status: 'unknown', outcome: `the outcome is not known (${word})` }
  }
  if (hasEnd && code !== undefined) return { status: Number(code) === 0 ? 'succeeded' : 'failed' }
  if (hasEnd) return { status: 'unknown', outcome: 'the table does not say how it ended' }
  return { status: start === undefined ? 'queued' : 'running' }
}

/** A whole number where it is one, else the text. */
const toValue = (text: string | undefined): number | string | undefined =>
  text !== undefined && /^-?\d{1,15}$/.test(text) ? Number(text) : text

function describeStart(fields: Fields, context: ImportContext): Metadata | undefined {
  const own = Object.entries(fields)
    .filter(([name]) => name.startsWith('metadata.'))
    .map(([name, value]) => [name.slice('metadata.'.length), value] as const)
  return filled({
    ...Object.fromEntries(texts.map((name) => [name, fields[name]])),
    ...Object.fromEntries(numbers.map((name) => [name, readNumber(name, fields[name])])),
    due_at: readAtOrNone('due_at', fields.due_at, context),
    ...Object.fromEntries(own),
  })
}

function readMetrics(fields: Fields): Record<string, number> | undefined {
  const own = Object.entries(fields).filter(([name]) => name.startsWith('metrics.'))
  return measured(
    Object.fromEntries(
      own.map(([name, text]) => [name.slice('metrics.'.length), readNumber(name, text)]),
    ),
  )
}
