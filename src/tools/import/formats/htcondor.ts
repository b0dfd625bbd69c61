import { Lru } from '../../../platform/lru.ts'
import {
  BadValue,
  type Cut,
  defineFormat,
  type ImportContext,
  jobsRemembered,
  type Observation,
  type Skipped,
} from '../format.ts'
import type { Source } from '../source.ts'
import { copyText, readAt, shorten } from '../values.ts'
import { JobStates } from './condor-jobstate.ts'
import { type LogEvent, observeLogEvent, type Run } from './condor-user-log.ts'

/*
 * What HTCondor writes about jobs:
 *
 *   - the job event log (`log = FILE` of a submit description): events of several lines, `...` after each
 *   - the job state log of DAGMan, which Pegasus has as jobstate.log: one line per event
 *
 * Each piece shows by its first characters which of the two it is from.
 */

type Piece = LogEvent | { state: string }

export const htcondor = defineFormat<Piece>({
  cut,
  observe(context) {
    const jobs = new Lru<string, Run>(jobsRemembered)
    const states = new JobStates()
    return (piece) => {
      if ('state' in piece) return states.observe(piece.state, context)
      return observeOne(piece, jobs, context)
    }
  },
})

function observeOne(
  event: LogEvent,
  jobs: Lru<string, Run>,
  context: ImportContext,
): Iterable<Observation | Skipped> {
  if (/^\d\d\/\d\d /.test(event.at)) {
    const remedy = 'set DEFAULT_USERLOG_FORMAT_OPTIONS = ISO_DATE in HTCondor'
    throw new BadValue(`time: ${event.at} has no year; ${remedy}`)
  }
  const run = jobs.get(event.job) ?? { attempt: 1 }
  jobs.set(copyText(event.job), run)
  return observeLogEvent(event, run, readAt('time', event.at, context))
}

const head = /^(\d{3}) \((\d+)\.(\d+)\.(\d+)\) (\d{4}-\d\d-\d\d[T ]\S+|\d\d\/\d\d \S+)(?: (.*))?$/
const stateLine = /^\d{10}(?:\.\d+)? \S/
/** Maximum lines of one event: more belong to none. */
const maxLines = 1000

async function* cut(source: Source): AsyncGenerator<Cut<Piece>> {
  let event: { line: number; value: LogEvent & { lines: string[] } } | undefined
  for await (const one of source.lines(65_536)) {
    if ('why' in one) {
      yield one
      continue
    }
    const { line, value: text } = one
    const begins = /^\d{3} \(/.test(text)
    if (event && (begins || text.trimEnd() === '...')) {
      // An event that the next one cuts off was torn while it was written.
      yield begins ? { line: event.line, why: 'is not closed by a line with ...' } : event
      event = undefined
    }
    if (event) {
      if (event.value.lines.length < maxLines) event.value.lines.push(text.trim())
    } else if (begins) {
      const value = readHead(text)
      if (value === undefined) yield { line, why: `is not the head of an event: ${shorten(text)}` }
      else event = { line, value }
    } else if (stateLine.test(text)) yield { line, value: { state: text } }
    else if (!isFiller(text)) yield { line, why: `belongs to no event: ${shorten(text)}` }
  }
  if (event) yield { line: event.line, why: 'is not closed by a line with ...' }
}

const isFiller = (text: string) => text.trim() === '' || text.trimEnd() === '...'

function readHead(line: string): (LogEvent & { lines: string[] }) | undefined {
  const [, code, cluster, proc, subproc, at, text = ''] = head.exec(line) ?? []
  if (code === undefined || at === undefined) return undefined
  const job = [Number(cluster), Number(proc), ...(Number(subproc) === 0 ? [] : [Number(subproc)])]
  return { code, job: job.join('.'), at, text, lines: [] }
}
