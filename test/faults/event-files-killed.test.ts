import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { type DuckDBConnection, DuckDBInstance } from '@duckdb/node-api'
import { freshFolder } from '../support/processes.ts'
import { isShort } from '../support/short-form.ts'

/* A sidecar that is killed while it writes files: a reader finds each event in them, once. */

const child = join(import.meta.dirname, '../support/writing-child.ts')
const events = 15
const home = freshFolder()

let duckdb: DuckDBConnection
before(async () => {
  duckdb = await (await DuckDBInstance.create()).connect()
})
after(() => duckdb.closeSync())

type Kind = 'csv' | 'json'

/** Runs it until it is done, or dies at that step. @returns the number of its steps, if it is done */
async function write(kind: Kind, dir: string, crashAt: number): Promise<number | undefined> {
  const args = [child, kind, join(dir, 'events'), join(dir, 'journal'), `${events}`, `${crashAt}`]
  const running = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', ...args])
  let printed = ''
  let said = ''
  running.stdout.on('data', (data) => {
    printed += data
  })
  running.stderr.on('data', (data) => {
    said += data
  })
  const [code, signal] = await once(running, 'close')
  if (signal === 'SIGKILL') return undefined
  assert.equal(code, 0, said)
  return Number(printed)
}

/** The numbers of the events that DuckDB finds in all files, and those of the finished ones. */
async function read(kind: Kind, dir: string): Promise<number[]> {
  const folder = join(dir, 'events')
  const files = readdirSync(folder).filter((name) =>
    /^(open|wafer_events)_[^/]*(csv|jsonl)(\.gz)?$/.test(name),
  )
  const list = files.map((name) => `'${join(folder, name)}'`).join(', ')
  const from =
    kind === 'csv'
      ? `select source_seq as n from read_csv([${list}], header = true, all_varchar = true)`
      : `select source.seq as n from read_json([${list}], format = 'newline_delimited')`
  const rows = await (await duckdb.runAndReadAll(from)).getRows()
  return rows.map(([n]) => Number(n)).sort((a, b) => a - b)
}

/** Both kinds write by the same code; each run starts two processes. */
const strides = isShort ? { csv: 4, json: 9 } : { csv: 1, json: 3 }
const all = Array.from({ length: events }, (_, i) => i + 1)

for (const kind of ['csv', 'json'] as const) {
  describe(`a sink of ${kind} files`, () => {
    test('has each event once, wherever it was killed', { timeout: 1_800_000 }, async () => {
      const steps = await write(kind, mkdtempSync(join(home, 'a-')), 0)
      assert.ok(steps !== undefined && steps > 20, `${steps} steps`)
      let next = 1
      const tryNext = async (): Promise<void> => {
        while (next <= steps) {
          const step = next
          next += strides[kind]
          const dir = mkdtempSync(join(home, `${kind}-`))
          assert.equal(await write(kind, dir, step), undefined, `it did not die at step ${step}`)
          await write(kind, dir, 0)
          assert.deepEqual(await read(kind, dir), all, `killed before step ${step}, in ${dir}`)
        }
      }
      await Promise.all([tryNext(), tryNext()])
    })

    test('has each event once after one kill after the other', { timeout: 1_800_000 }, async () => {
      const dir = mkdtempSync(join(home, `${kind}-`))
      for (let step = 12; step < 45; step += 4) await write(kind, dir, step)
      await write(kind, dir, 0)
      assert.deepEqual(await read(kind, dir), all)
    })
  })
}
