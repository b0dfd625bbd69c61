import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import { connect } from '../../src/store/connect.ts'
import { freshDatabase } from '../support/database.ts'
import { freshFolder, launch, until } from '../support/processes.ts'
import { archiveOld, oldEvent } from './old-days.ts'
import { archiver, hadRound, health } from './role.ts'
import { run } from './support.ts'

/* `wafermon archive hold` and `wafermon archive expire`, as programs. */

async function wafermon(args: string[], env: Record<string, string> = {}) {
  const tool = launch(['archive', ...args], env)
  const { code } = await tool.ended
  return { code, out: tool.out(), err: tool.err() }
}

/** An archive of 2009 and 2014: a day of two files each. */
async function anOldArchive(t: TestContext) {
  const { url } = await freshDatabase(t)
  const store = connect(url, { role: 'test', max: 2 })
  t.after(() => store.close())
  const dir = freshFolder()
  await archiveOld(store, dir, [oldEvent(2009, 1, 'LOT-1'), oldEvent(2014, 1, 'LOT-2')])
  const at = { ARCHIVE_DIR: dir, DATABASE_URL: url }
  return { store, dir, url, at }
}

describe('wafermon archive hold', () => {
  test('places, lists and releases holds, and says what was deleted before', async (t) => {
    const { at } = await anOldArchive(t)
    const who = ['--reason', 'recall 7', '--by', 'legal']
    const added = await wafermon(
      ['hold', 'add', '--site', 'fab1', '--to', '2009-12-31', ...who],
      at,
    )
    assert.equal(added.code, 0, added.err)
    const line =
      /^(\d{8}-[0-9a-f]{8}) {2}held {2}fab1, \.\.\. to 2009-12-31 {2}\S+ legal: recall 7$/m
    const id = line.exec(added.out)?.[1] ?? ''
    assert.match(added.out, /^1 archived days$/m)
    const list = await wafermon(['hold', 'ls', '--json'], at)
    assert.deepEqual(
      JSON.parse(list.out).holds.map((hold: object) => ({ ...hold, at: '' })),
      [
        {
          ...{ version: 1, id, number: 1, state: 'held', site: 'fab1', from: null },
          ...{ to: '2009-12-31', key: null, reason: 'recall 7', by: 'legal', at: '' },
        },
      ],
    )
    assert.equal((await wafermon(['expire', '--confirm'], at)).code, 0)
    assert.equal((await wafermon(['hold', 'rm', id, ...who], at)).code, 0)
    assert.match((await wafermon(['hold', 'ls'], at)).out, /^0 holds in force$/m)
    assert.match((await wafermon(['hold', 'ls', '--all'], at)).out, /released .*legal: recall 7/)
    const again = await wafermon(['hold', 'rm', id, ...who], at)
    assert.deepEqual([again.code, again.out], [1, ''])
    assert.match(again.err, /^hold \S+ was released at \S+ by legal\n$/)
    const late = await wafermon(['hold', 'add', '--reason', 'all'], at)
    assert.equal(late.code, 1)
    assert.match(
      late.out,
      /^DELETED {2}fab1 2014-03-13: event was deleted at \S+ by \S+@\S+, before this$/m,
    )
  })

  const wrong: [string[], number, RegExp][] = [
    [['add'], 2, /required option '--reason <text>' not specified/],
    [
      ['add', '--reason', 'x', '--from', '2026-02-30'],
      2,
      /^--from: "2026-02-30" is not a day; write it as 2026-03-01$/m,
    ],
    [
      ['add', '--reason', 'x', '--from', '2026-03-02', '--to', '2026-03-01'],
      2,
      /^--to: 2026-03-01 lies before --from 2026-03-02; exchange them$/m,
    ],
    [['add', '--reason', 'x', '--site', 'a/b'], 2, /^--site: must be 1 to 64 letters/m],
    [['add', '--reason', 'x', '--key', ' '], 2, /^--key: must not be empty; leave it out/m],
    [['add', '--reason', ' '], 2, /^--reason: must not be empty; say why$/m],
    [
      ['rm', 'none', '--reason', 'x'],
      1,
      /^there is no hold "none"; wafermon archive hold ls shows their ids$/m,
    ],
  ]
  test('refuses what it cannot hold in one sentence, and places nothing then', async () => {
    const dir = freshFolder()
    for (const [args, code, words] of wrong) {
      const { err, ...refused } = await wafermon(['hold', ...args], { ARCHIVE_DIR: dir })
      assert.equal(refused.code, code, err)
      assert.match(err, words)
    }
    assert.match((await wafermon(['hold', 'ls', '--all'], { ARCHIVE_DIR: dir })).out, /^0 holds/)
  })
})

describe('wafermon archive expire', () => {
  test('shows what is due, and deletes it when it is confirmed', async (t) => {
    const { at } = await anOldArchive(t)
    const plan = await wafermon(['expire', '--dry-run'], at)
    assert.equal(plan.code, 0, plan.err)
    assert.match(plan.out, /^SITE +DAY +WHAT +FILES +MB +OUTCOME +REASON$/m)
    const row = /^fab1 +2009-03-13 +event,job +2 +0\.0\d +due +past its years \(event=10,job=15\)$/m
    assert.match(plan.out, row)
    assert.match(plan.out, /^due: 2 days, 3 files, 0.0 MB\nnothing was deleted; --confirm deletes/m)
    const { out } = await wafermon(['expire', '--confirm', '--json', '--reason', 'spring'], at)
    const { days, confirmed, sums } = JSON.parse(out)
    assert.deepEqual([confirmed, sums.deleted.days, sums.deleted.files], [true, 2, 3])
    assert.deepEqual(days[1].kinds, ['event'])
    const list = await wafermon(['ls'], at)
    assert.match(list.out, /2014-03-13 .*; event deleted 20\d\d-\d\d-\d\d by \S+@\S+$/m)
    assert.equal((await wafermon(['verify', '--deep'], at)).code, 0)
  })

  test('waits for an archiver at work, which continues afterwards', async (t) => {
    const { store, url, dir, at } = await anOldArchive(t)
    const role = await archiver(t, url, dir, { ARCHIVE_INTERVAL_HOURS: '24' })
    await until('a round', () => hadRound(role))
    assert.equal((await health(role)).days_past_keep_years, 2)
    const { code, out, err } = await wafermon(['expire', '--confirm', '--by', 'ops'], at)
    assert.equal(code, 0, err)
    assert.equal(err, 'an archiver is at work; waiting until it has nothing in hand\n')
    assert.match(out, /^deleted: 2 days, 3 files, 0.0 MB$/m)
    await until('its return', async () => (await health(role)).days_past_keep_years === 0)
    assert.equal((await health(role)).here, true)
    const [audit] = await run(store, `select actor, action, object, after from audit`)
    const { bytes, ...sums } = (audit?.after ?? {}) as Record<string, number>
    assert.deepEqual(
      [audit?.actor, audit?.action, audit?.object, sums],
      ['ops', 'archive.expire', 'all sites', { days: 2, files: 3 }],
    )
    assert.ok((bytes ?? 0) > 0)
  })

  test('says what it lacks in one sentence, and deletes nothing then', async (t) => {
    const { at } = await anOldArchive(t)
    const wrong: [string[], RegExp, Record<string, string>][] = [
      [[], /say --dry-run to look, or --confirm to delete/, at],
      [['--dry-run', '--confirm'], /'--dry-run' cannot be used with option '--confirm'/, at],
      [
        ['--confirm', '--keep-years', 'event=0'],
        /ARCHIVE_KEEP_YEARS, by --keep-years: event=0: must be 1 to 1000 years/,
        at,
      ],
      [
        ['--dry-run'],
        /ARCHIVE_KEEP_YEARS: entry 1 is not event, job or subjob/,
        { ...at, ARCHIVE_KEEP_YEARS: 'x' },
      ],
      [
        ['--dry-run'],
        /^DATABASE_URL: set it, or give --database-url/m,
        { ARCHIVE_DIR: at.ARCHIVE_DIR },
      ],
      [['--confirm', '--wait', 'x'], /It must be a whole number of seconds/, at],
    ]
    for (const [args, words, env] of wrong) {
      const { code, err } = await wafermon(['expire', ...args], env)
      assert.equal(code, 2, err)
      assert.match(err, words)
    }
    const empty = await wafermon(['expire', '--confirm'], { ...at, ARCHIVE_DIR: freshFolder() })
    assert.equal(empty.code, 1)
    assert.match(
      empty.err,
      /has no files of fab1, although it was archived before; mount the right folder/,
    )
    assert.match((await wafermon(['expire', '--dry-run'], at)).out, /^due: 2 days/m)
  })
})
