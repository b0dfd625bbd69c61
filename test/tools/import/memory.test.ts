import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { formats } from '../../../src/tools/import/formats/index.ts'
import { readEvents } from '../../../src/tools/import/pieces.ts'
import { Source } from '../../../src/tools/import/source.ts'
import { freshFolder } from '../../support/processes.ts'

/* What is held while a file is read: some words of each of the newest jobs, and never the file or its events. */

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void

const jobs = 800
const startMs = Date.parse('2026-03-01T00:00:00Z')
const at = (i: number, s: number) => new Date(startMs + i * 1000 + s * 1000).toISOString()
/** Of a text that no two jobs share, so that holding it shows. */
const long = (i: number) => `job ${i} `.repeat(1000)
const json = (value: unknown) => JSON.stringify(value)

const activity = (name: string, transition: string, time: string) => `
  <event><string key="concept:name" value="${name}"/><string key="lifecycle:transition" value="${transition}"/>
  <date key="time:timestamp" value="${time}"/></event>`
const run = (i: number) => `0195f3a0-0000-7000-8000-${String(i).padStart(12, '0')}`

/** Of each format the lines before the jobs, those of a job, and those after. */
const files: Record<string, { head?: string; job: (i: number) => string; tail?: string }> = {
  sacct: {
    head: 'JobID|JobName|Comment|Submit|Start|End|State|ExitCode|Reason\n',
    job: (i) =>
      `${i}|merge|x|${at(i, 0)}|${at(i, 5)}|${at(i, 9)}|CANCELLED by ${long(i)}|0:0|None\n`,
  },
  nextflow: {
    head: 'task_id\tname\tstatus\texit\tattempt\tsubmit\tstart\tcomplete\tcontainer\n',
    job: (i) =>
      `${i}\tALIGN (lot ${i})\tCOMPLETED\t0\t1\t${at(i, 0)}\t${at(i, 5)}\t${at(i, 9)}\t${long(i)}\n`,
  },
  htcondor: {
    job: (i) =>
      [
        `000 (${i}.000.000) ${at(i, 0)} Job submitted from host: <10.0.0.1:9618>`,
        `001 (${i}.000.000) ${at(i, 5)} Job executing on host: <10.0.0.7:9618>`,
        `009 (${i}.000.000) ${at(i, 9)} Job was aborted.\n\t${long(i)}`,
        '',
      ].join('\n...\n'),
  },
  xes: {
    head: '<?xml version="1.0"?><log><string key="concept:name" value="repair"/>',
    job: (i) =>
      `<trace><string key="concept:name" value="R-${i}"/><string key="note" value="${long(i)}"/>` +
      activity('inspect', 'schedule', at(i, 0)) +
      activity('inspect', 'start', at(i, 5)) +
      `${activity('inspect', 'complete', at(i, 9))}</trace>`,
    tail: '</log>',
  },
  openlineage: {
    job: (i) =>
      ['START', 'FAIL']
        .map((eventType, n) =>
          json({
            ...{ eventType, eventTime: at(i, n * 9), job: { namespace: 'etl', name: 'daily' } },
            run: { runId: run(i), facets: { errorMessage: { message: long(i) } } },
          }),
        )
        .concat('')
        .join('\n'),
  },
  'otlp-json': {
    job: (i) => {
      const nanos = (s: number) => `${startMs + i * 1000 + s * 1000}000000`
      const ids = { traceId: `${i}`.padStart(32, 'a'), spanId: `${i}`.padStart(16, 'a') }
      const attributes = [{ key: 'note', value: { stringValue: long(i) } }]
      const times = { startTimeUnixNano: nanos(0), endTimeUnixNano: nanos(9) }
      const spans = [{ ...ids, name: 'download', ...times, attributes }]
      return `${json({ resourceSpans: [{ scopeSpans: [{ spans }] }] })}\n`
    },
  },
  csv: {
    head: 'id,queued_at,started_at,ended_at,status,message\n',
    job: (i) => `L${i},${at(i, 0)},${at(i, 5)},${at(i, 9)},failed,"${long(i)}"\n`,
  },
}
const columns = new Map(
  ['id', 'queued_at', 'started_at', 'ended_at', 'status', 'message'].map((name) => [name, name]),
)

describe('an import', () => {
  test('is tried of every format', () => {
    assert.deepEqual(Object.keys(files).sort(), formats.map(({ name }) => name).sort())
  })

  for (const { name, load } of formats) {
    test(`holds neither the file nor its events: ${name}`, async () => {
      const { head = '', job, tail = '' } = files[name]!
      const file = join(freshFolder(), 'many')
      writeFileSync(file, head + Array.from({ length: jobs }, (_, i) => job(i)).join('') + tail)
      const target = { siteId: 'fab1', system: name }
      const context = { zone: 'UTC', ...(name === 'csv' ? { map: columns } : {}) }
      const weigh = () => {
        collect()
        return process.memoryUsage().heapUsed
      }
      let [events, bytes, before, held] = [0, 0, 0, 0]
      for await (const found of readEvents(new Source(file), await load(), context, target)) {
        assert.ok('event' in found, json(found))
        events++
        // By then all code is loaded.
        if (events === 100) before = weigh()
        if (events > 100) bytes += json(found.event).length
        if (events === 2 * jobs) held = weigh() - before
      }
      assert.ok(bytes > 5000 * jobs, `the events have ${bytes} bytes`)
      // Some words of each of the newest jobs, and the times of the newest events.
      assert.ok(held < bytes / 2, `holds ${held} bytes of ${bytes}`)
    })
  }
})
