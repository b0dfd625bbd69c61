import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { must } from '../../../src/core/must.ts'
import { formats } from '../../../src/tools/import/formats/index.ts'
import { freshFolder } from '../../support/processes.ts'
import { wafermon } from '../../support/run.ts'
import { foldFile } from './support.ts'

/** What the page says of its examples: jobs and subjobs by key, with their attempt and their wait. */
const said: Record<string, Record<string, object>> = {
  'jobs.txt': {
    102: { status: 'succeeded', attempt: 2, queueS: 170, tries: [['1', 'failed', 'NODE_FAIL']] },
    batch: { status: 'succeeded', attempt: 2 },
    103: { status: 'canceled', attempt: 1, queueS: null },
  },
  'trace.txt': {
    'lot 7': {
      status: 'succeeded',
      attempt: 2,
      queueS: 4.5,
      tries: [['1', 'failed', 'exit code 137']],
    },
  },
  'job.log': {
    '172.0': { status: 'succeeded', attempt: 2, queueS: 60, tries: [['1', 'canceled', undefined]] },
  },
  'jobstate.log': { findrange: { status: 'succeeded', attempt: 2, queueS: 30 } },
  'cases.xes': {
    'R-1': { status: 'succeeded', durationS: 1800 },
    inspect: { status: 'succeeded', queueS: 600, durationS: 1200 },
  },
  'runs.ndjson': {
    '2026-03-01T09:00:00Z': { status: 'succeeded' },
    '0195f3a0-0000-7000-8000-000000000002': {
      status: 'succeeded',
      attempt: 2,
      tries: [['1', 'failed', 'connection refused']],
    },
  },
  'spans.ndjson': {
    download: { status: 'succeeded' },
    fetch: { status: 'failed', durationS: 1.5, lastError: 'no answer in 1 s' },
  },
  'lots.csv': {
    L1: {
      ...{ status: 'succeeded', attempt: 2, queueS: 600 },
      tries: [['1', 'failed', 'edge "ring", too thick']],
    },
    L2: { status: 'queued' },
  },
}

const escaped = (text: string) => text.replaceAll('.', '\\.')

describe('the examples of docs/instrument.md', () => {
  const text = readFileSync('docs/instrument.md', 'utf8')
  const sections = text.split('\n## ').slice(1)
  const commands = sections.flatMap((section) =>
    [...section.matchAll(/```sh\nwafermon (import [\s\S]*?)\n```/g)].map(([, args]) => ({
      section,
      args: String(args).replaceAll('\\\n', ' ').split(/\s+/),
    })),
  )

  test('are of every format', () => {
    const names = new Set(commands.map(({ args }) => args[1]))
    assert.deepEqual([...names].sort(), formats.map(({ name }) => name).sort())
  })

  for (const { section, args } of commands) {
    const file = String(args[2])
    test(`are read whole: ${file}`, async () => {
      const content = new RegExp(`\`\`\`\\w+ ${escaped(file)}\\n([\\s\\S]*?)\`\`\``).exec(
        section,
      )?.[1]
      assert.ok(content, `${file} is shown`)
      const path = join(freshFolder(), file)
      writeFileSync(path, content)
      const all = args.map((arg) => (arg === file ? path : arg))
      const { code, out, err } = await wafermon([...all, '--dry-run', '--json'])
      assert.equal(code, 0, err)
      const { events, bad, skipped } = JSON.parse(out)
      assert.deepEqual(
        [bad, skipped],
        [0, file === 'jobstate.log' ? { 'state JOB_TERMINATED': 2 } : {}],
      )
      assert.ok(events >= 4, `only ${events} events`)
      const option = (name: string) => all.flatMap((arg, i) => (arg === name ? [all[i + 1]] : []))
      const map = option('--map').flatMap((pairs) => String(pairs).split(','))
      const { byKey } = await foldFile(String(args[1]), path, {
        app: option('--app')[0],
        ...(map.length > 0 && { map: Object.fromEntries(map.map((pair) => pair.split('='))) }),
      })
      for (const [key, expected] of Object.entries(said[file] ?? {})) {
        const job = must(byKey[key], `${file} has ${key}`)
        const { attempt, attempts = {} } = job.slots
        const tries = Object.entries(attempts).map(([n, { end, error }]) => [
          n,
          end?.status,
          error?.text,
        ])
        const all = { ...job, attempt, tries }
        const shown = Object.keys(expected).map((name) => [name, all[name as keyof typeof all]])
        assert.deepEqual(Object.fromEntries(shown), expected, `${file}: ${key}`)
      }
      assert.ok(said[file], 'the page says what comes of it')
    })
  }
})
