import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { copyFileSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { manifestPath } from '../../src/archive/layout.ts'
import { FolderPlace } from '../../src/archive/places/folder.ts'
import { ArchiveReading } from '../../src/archive/read/reading.ts'
import { fromMs } from '../../src/core/time.ts'
import { toDay } from '../../src/store/archive/days.ts'
import { engineFiles } from '../support/engine-sql.ts'
import { freshFolder } from '../support/processes.ts'
import { dayAt, duck } from './support.ts'
import { jobRow, writeDay } from './written-day.ts'

/* The archive as others read it: sql/archive, and the ten lines of docs/archive.md. */

const root = fileURLToPath(new URL('../..', import.meta.url))
const ddl = readFileSync(join(root, 'sql/archive/duckdb.sql'), 'utf8')

/** The first day's file under the names of ten years of days: what names decide can be seen by it. */
async function tenYears() {
  const dir = freshFolder()
  const first = toDay('fab1', '2026-01-01T00:00:00.000000Z')
  await writeDay(new FolderPlace(dir), first, [{ kind: 'job', rows: [jobRow(first, 0)] }])
  const folder = (of: string, date: string) => join(dir, of, 'site=fab1', `dt=${date}`)
  const [file = ''] = readdirSync(folder('job', '2026-01-01'))
  const manifest = readFileSync(join(dir, manifestPath(first, 1)), 'utf8')
  for (let i = 1; i < 3652; i++) {
    const date = fromMs(Date.parse('2026-01-01') + i * 86_400_000).slice(0, 10)
    for (const of of ['job', '_manifest']) mkdirSync(folder(of, date))
    copyFileSync(join(folder('job', '2026-01-01'), file), join(folder('job', date), file))
    writeFileSync(
      join(folder('_manifest', date), '00001.json'),
      manifest.replaceAll('2026-01-01', date),
    )
  }
  return dir
}

describe('a day among ten years of days', () => {
  test('is the only one whose files are opened, by DuckDB and by our reading', async () => {
    const dir = await tenYears()
    const filesRead = async (where: string) => {
      const [plan] = await duck(
        ddl,
        `explain analyze select count(*) from archived_job('${dir}') where ${where}`,
      )
      return Number(/Total Files Read: (\d+)/.exec(String(plan?.explain_value))?.[1])
    }
    assert.equal(await filesRead(`site = 'fab1' and dt = '2031-05-17'`), 1)
    assert.equal(await filesRead(`dt >= '2031-05-01' and dt < '2031-06-01'`), 31)
    for (const sites of [['fab1'], undefined]) {
      const span = { from: '2031-05-17T00:00:00.000000Z', to: '2031-05-18T00:00:00.000000Z' }
      const reading = new ArchiveReading(new FolderPlace(dir), { kind: 'job', sites, ...span })
      for await (const _ of reading.batches()) assert.fail('its rows are of another day')
      assert.equal(reading.files, 1)
      assert.deepEqual(reading.missing, [])
    }
  })
})

describe('sql/archive', () => {
  test('has the columns of the archive for every engine', () => {
    for (const [file, text] of engineFiles()) {
      assert.equal(readFileSync(join(root, file), 'utf8'), text, `${file}: npm run docs writes it`)
    }
  })
})

describe('docs/archive.md', () => {
  const docs = readFileSync(join(root, 'docs/archive.md'), 'utf8')
  const block = (language: string) => {
    const section = docs.slice(docs.indexOf('## Reading it in 2040'))
    const found = new RegExp(`\`\`\`${language}\n([\\s\\S]*?)\`\`\``).exec(section)?.[1] ?? ''
    assert.ok(found.trim().split('\n').length <= 10, `${language} takes ten lines`)
    return found
  }

  async function changedDay() {
    const dir = freshFolder()
    const place = new FolderPlace(dir)
    const day = dayAt(13)
    await writeDay(place, day, [{ kind: 'job', rows: [1, 2, 3].map((n) => jobRow(day, n)) }])
    const moved = {
      job_id: jobRow(day, 2).job_id ?? null,
      version: 2,
      moved_to: 'site=fab1/dt=2026-03-14',
    }
    await writeDay(place, day, [
      { kind: 'job', rows: [moved, jobRow(day, 3, { version: 2, status: 'failed' })] },
    ])
    return dir
  }

  test('its ten lines of JavaScript read a day, last versions only', async () => {
    const dir = await changedDay()
    const script = join(root, `read-2040-${process.pid}.tmp.mjs`)
    writeFileSync(script, block('js'))
    try {
      const out = execFileSync(process.execPath, [script, dir, 'site=fab1/dt=2026-03-13'], {
        encoding: 'utf8',
      })
      assert.match(
        out,
        /job_id: 'b0000000-0000-4000-8000-000000000001'[\s\S]*000000000003'[\s\S]*status: 'failed'/,
      )
      assert.doesNotMatch(out, /000000000002'/)
    } finally {
      execFileSync('rm', ['-f', script])
    }
  })

  test('its lines of SQL read a day, last versions only', async () => {
    const dir = await changedDay()
    const rows = await duck(block('sql').replaceAll('/var/lib/wafermon/archive', dir))
    assert.deepEqual(rows.map(({ job_id, status }) => [String(job_id).slice(-1), status]).sort(), [
      ['1', 'succeeded'],
      ['3', 'failed'],
    ])
  })
})
