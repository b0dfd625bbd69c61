import assert from 'node:assert/strict'
import { cpSync, existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { before, describe, type TestContext, test } from 'node:test'
import Database from 'better-sqlite3'
import type { Outgoing } from '../../src/core/delivery.ts'
import { RecentCounts } from '../../src/platform/recent-counts.ts'
import type { Damage } from '../../src/spool/carry-over.ts'
import { describeSpool } from '../../src/spool/report.ts'
import { Spool } from '../../src/spool/spool.ts'
import type { SpoolOptions } from '../../src/spool/spool-options.ts'
import { admitted } from '../support/admitted.ts'
import { crashing } from '../support/crashing-files.ts'
import { refuse } from '../support/draining.ts'
import { freshFolder, until } from '../support/processes.ts'
import { findUnknown } from '../support/written-files.ts'

/*
 * What can be read of a damaged spool is carried over while the new one is in use: nothing is lost,
 * nothing comes twice, and nothing overtakes.
 */

const mib = 2 ** 20
const pageBytes = 8192
/** However small, it is carried over behind the opening. */
const options = { sinks: ['a'], maxBytes: 256 * mib, ballastBytes: 4096, largeBytes: 0 }

let made = 0
const item = (bytes = 10) => admitted({ json: JSON.stringify({ n: ++made, x: 'y'.repeat(bytes) }) })
const numberOf = ({ body }: { body: string }) => (JSON.parse(body) as { n: number }).n
type Source = { id: string; epoch: string; seq: number }
const sourceOf = ({ body }: { body: string }) => (JSON.parse(body) as { source: Source }).source

function open(t: Pick<TestContext, 'after'>, dir: string, more: Partial<SpoolOptions> = {}): Spool {
  const spool = new Spool({ ...options, dir, ...more })
  t.after(() => spool.close())
  return spool
}

function copy(from: string): string {
  const dir = freshFolder()
  cpSync(from, dir, { recursive: true })
  return dir
}

/** Everything that is handed out at the moment. */
function handedOut(spool: Spool): Outgoing[] {
  const all: Outgoing[] = []
  for (;;) {
    const next = spool.peek('a', 1000, 64 * mib, all.at(-1)?.seq)
    if (next.length === 0) return all
    all.push(...next)
  }
}

const carriedOver = (spool: Spool) =>
  until('everything to be carried over', () => !spool.carrying && spool.report.damaged)

/** Garbage on some pages of a closed database. */
function spoil(dir: string, pages: readonly number[]): void {
  const path = join(dir, 'spool.db')
  const content = readFileSync(path)
  for (const page of pages) content.fill(0xa5, page * pageBytes, (page + 1) * pageBytes)
  writeFileSync(path, content)
}

/** 4 MiB of events, the first hundred delivered, one of them a reject; closed. */
let full = ''
let waiting: Outgoing[] = []
/** The same with more events in its log, as kill -9 leaves it. */
let killed = ''
before(async () => {
  const spool = new Spool({ ...options, dir: freshFolder() })
  for (let i = 0; i < 10; i++) await spool.append(Array.from({ length: 200 }, () => item(2000)))
  const [first] = spool.peek('a', 1, mib)
  spool.ack('a', 100, [refuse(first)])
  waiting = handedOut(spool)
  spool.close()
  full = spool.dir
  const again = new Spool({ ...options, dir: copy(full) })
  await again.append(Array.from({ length: 50 }, () => item(2000)))
  killed = copy(again.dir)
  again.close()
})

/** A copy of it that is damaged, and a page that is. */
function damaged(pages = [300]): string {
  const dir = copy(full)
  spoil(dir, pages)
  return dir
}

/** The events that are left, in their order, as they were sent. */
const bodiesOf = (events: readonly Outgoing[]) => events.map(({ body }) => body)

describe('a damaged spool that takes long to read', () => {
  test('takes events meanwhile, says how far it is, and hands them out after all that came before', async (t) => {
    const told: Damage[] = []
    const spool = open(t, damaged(), { onCarriedOver: (damage) => told.push(damage) })
    const health = () => describeSpool(spool, [], new RecentCounts())
    const begun = health().carrying_over
    assert.ok(begun && begun.events < waiting.length && health().ready)
    assert.deepEqual([begun.of, health().damaged], [waiting.length, undefined])
    const event = item()
    assert.deepEqual(await spool.append([event]), ['stored'])
    assert.ok(spool.carrying)
    // Whoever is told that nothing waits takes what has not come for lost.
    assert.deepEqual([spool.count, spool.lag('a')], [waiting.length + 1, waiting.length + 1])
    const { salvaged, unreadable, movedTo } = await carriedOver(spool)
    assert.equal(salvaged + unreadable, waiting.length)
    assert.ok(unreadable > 0 && unreadable < 6, `${unreadable}`)
    const out = handedOut(spool)
    assert.equal(numberOf(out.at(-1)!), JSON.parse(event.json).n)
    const known = bodiesOf(waiting)
    const places = bodiesOf(out.slice(0, -1)).map((body) => known.indexOf(body))
    assert.equal(places.length, salvaged)
    for (const [i, place] of places.entries()) assert.ok(place > (places[i - 1] ?? -1))
    assert.deepEqual(told, [health().damaged])
    assert.deepEqual([health().carrying_over, spool.count], [undefined, salvaged + 1])
    assert.ok(!existsSync(join(movedTo, 'unfinished')))
  })

  test('delivers while it is carried over: each event once, in order, also those that come in', async (t) => {
    const spool = open(t, damaged())
    const seen: number[] = []
    const news: number[] = []
    const appends: Promise<unknown>[] = []
    // Between two parts of what is carried over, so that there is something that they could overtake.
    spool.onAppend(() => {
      if (spool.carrying === undefined || news.length === 20) return
      const event = item()
      news.push(JSON.parse(event.json).n)
      appends.push(spool.append([event]))
    })
    const take = () => {
      const batch = spool.peek('a', 150, 64 * mib)
      seen.push(...batch.map(numberOf))
      const last = batch.at(-1)
      if (last) spool.ack('a', last.seq)
    }
    while (spool.carrying !== undefined) {
      await new Promise(setImmediate)
      take()
    }
    await Promise.all(appends)
    while (spool.count > 0) take()
    const { salvaged } = spool.report.damaged!
    assert.ok(news.length > 3)
    assert.deepEqual(
      seen,
      [...seen].sort((a, b) => a - b),
    )
    assert.equal(new Set(seen).size, salvaged + news.length)
    assert.deepEqual(seen.slice(-news.length), news)
    assert.deepEqual([spool.lag('a'), spool.peek('a', 10, mib)], [0, []])
    await spool.append([item()])
    assert.deepEqual([spool.lag('a'), spool.peek('a', 10, mib).length], [1, 1])
  })

  test('is carried over to the end by the next start, whenever the one before was killed', async (t) => {
    const dir = damaged()
    const spool = open(t, dir)
    const states = [copy(dir)]
    // After the commit of each part.
    spool.onAppend(() => states.push(copy(dir)))
    await carriedOver(spool)
    const expected = bodiesOf(handedOut(spool))
    const { salvaged, unreadable } = spool.report.damaged!
    assert.ok(states.length > 4, `${states.length}`)
    const names = [dir, ...states].flatMap((one) =>
      readdirSync(one, { recursive: true, encoding: 'utf8' }),
    )
    assert.deepEqual(findUnknown(names.map((name) => `spool/${name}`)), [])
    for (const state of states) {
      const again = open(t, state)
      assert.deepEqual(await again.append([item()]), ['stored'])
      const found = await carriedOver(again)
      assert.deepEqual([found.salvaged, found.unreadable], [salvaged, unreadable])
      assert.deepEqual(bodiesOf(handedOut(again)).slice(0, -1), expected)
      assert.equal(again.guard.behind, undefined)
      again.close()
      rmSync(state, { recursive: true })
    }
  })

  test('loses nothing and carries nothing over twice when it dies between two steps of the swap', async (t) => {
    const dir = copy(killed)
    spoil(dir, [300])
    writeFileSync(join(dir, 'spool.db.unsound'), 'found while in use\n')
    const reference = open(t, copy(dir), { largeBytes: mib * 64 })
    const expected = bodiesOf(handedOut(reference))
    assert.ok(expected.length > waiting.length, 'those in the log too')
    const files = crashing(t)
    let steps = 0
    for (let isOver = false; !isOver; steps++) {
      const state = copy(dir)
      files.after(steps)
      let died: Spool | undefined
      try {
        died = new Spool({ ...options, dir: state, largeBytes: 64 * mib })
      } catch (error) {
        assert.match(String(error), /crash before/)
      }
      isOver = files.calls() <= steps
      files.never()
      died?.close()
      const again = new Spool({ ...options, dir: state, largeBytes: 64 * mib })
      assert.deepEqual(bodiesOf(handedOut(again)), expected, `after ${steps} calls`)
      assert.equal(again.rejects.list(10).length, 1)
      again.close()
      const third = new Spool({ ...options, dir: state, largeBytes: 64 * mib })
      assert.deepEqual(bodiesOf(handedOut(third)), expected, `after ${steps} calls, once more`)
      third.close()
      const folders = readdirSync(state).filter((name) => name.startsWith('damaged-'))
      assert.equal(folders.length, 1, 'all of it in one folder')
      assert.deepEqual(readdirSync(join(state, folders[0]!)).sort(), [
        'spool.db',
        'spool.db.unsound',
      ])
      rmSync(state, { recursive: true })
    }
    assert.ok(steps > 15, `${steps}`)
  })

  test('is not carried over again when it died before its note was removed', async (t) => {
    const dir = damaged()
    const spool = open(t, dir)
    const { movedTo } = await carriedOver(spool)
    const expected = bodiesOf(handedOut(spool))
    spool.close()
    writeFileSync(join(movedTo, 'unfinished'), '{"reason":"odd"}\n')
    const again = open(t, dir)
    assert.equal(again.carrying, undefined)
    assert.deepEqual(bodiesOf(handedOut(again)), expected)
    assert.ok(!existsSync(join(movedTo, 'unfinished')))
  })

  test('loses the events of its damaged pages and no others, however many pages there are', async (t) => {
    const dir = copy(full)
    const content = readFileSync(join(dir, 'spool.db'))
    // Pages of events, far from one another.
    const lost = [10, 400, 1200, 1700].map((i) => numberOf(waiting[i]!))
    const pages = lost.map((n) => Math.floor(content.indexOf(`{"n":${n},`) / pageBytes))
    spoil(dir, pages)
    const spool = open(t, dir)
    const { salvaged, unreadable } = await carriedOver(spool)
    assert.equal(salvaged + unreadable, waiting.length)
    assert.ok(unreadable >= 4 && unreadable <= 4 * 5, `${unreadable}`)
    const left = handedOut(spool).map(numberOf)
    assert.deepEqual(
      lost.filter((n) => left.includes(n)),
      [],
    )
  })

  test('that is damaged again meanwhile is carried over with the first, in their order', async (t) => {
    const dir = damaged()
    const spool = open(t, dir)
    let at = 0
    const state = await new Promise<string>((done) => {
      spool.onAppend(() => ++at === 3 && done(copy(dir)))
      void spool.append([item()])
    })
    await carriedOver(spool)
    const all = handedOut(spool).map(numberOf)
    const { unreadable } = spool.report.damaged!
    spool.close()
    // A table that only SQLite's own check does not miss; and once the note of what was carried over.
    for (const table of ['key_b', 'carry']) {
      const again = copy(state)
      const db = new Database(join(again, 'spool.db'))
      db.exec(table === 'carry' ? `delete from carry; drop table key_b` : `drop table ${table}`)
      db.close()
      const third = open(t, again)
      const damage = await carriedOver(third)
      const found = handedOut(third).map(numberOf)
      if (table === 'key_b') assert.deepEqual(found, all)
      // Without that note the first is carried over from its beginning: its events come again, with their stamps.
      else
        assert.deepEqual(
          [...new Set(found)].sort((a, b) => a - b),
          all,
        )
      assert.ok(damage.unreadable >= unreadable)
      const folders = readdirSync(again).filter((name) => name.startsWith('damaged-'))
      assert.equal(folders.length, 2)
      for (const name of folders) assert.ok(!existsSync(join(again, name, 'unfinished')))
      third.close()
    }
  })

  test('gives each event one stamp where the stamps are lost, also when it is killed in between', async (t) => {
    const dir = damaged()
    const db = new Database(join(dir, 'spool.db'))
    db.exec('delete from epoch')
    db.close()
    const spool = open(t, dir)
    let state = ''
    spool.onAppend(() => {
      if (state === '' && spool.count > 0) state = copy(dir)
    })
    await carriedOver(spool)
    const again = open(t, state)
    await again.append([item()])
    await carriedOver(again)
    const stamps = (one: Spool) => handedOut(one).map((event) => JSON.stringify(sourceOf(event)))
    const [first, second] = [stamps(spool), stamps(again)]
    assert.equal(new Set(second).size, second.length)
    assert.deepEqual(second.slice(0, -1), first)
    assert.notEqual(sourceOf(handedOut(again)[0]!).epoch, sourceOf(waiting[0]!).epoch)
  })

  test('keeps its rejects with their ids, and gives others to new ones', async (t) => {
    const dir = damaged()
    const spool = open(t, dir)
    const [old] = await until(
      'the rejects',
      () => spool.rejects.count('a').count > 0 && spool.rejects.list(9),
    )
    assert.deepEqual([old!.id, spool.rejects.count('a').count], [1, 1])
    await carriedOver(spool)
    const [first] = spool.peek('a', 1, mib)
    spool.ack('a', first!.seq, [refuse(first)])
    assert.deepEqual(
      spool.rejects.list(9).map(({ id }) => id),
      [2, 1],
    )
    assert.equal(spool.retryReject(1), true)
    const [again] = spool.rejects.due('a', 9, mib)
    assert.equal(sourceOf(again!.event).seq, 1)
  })

  test('that an operator took away is given up, with its events counted', async (t) => {
    const dir = damaged()
    const spool = open(t, dir)
    const state = copy(dir)
    spool.close()
    const name = readdirSync(state).find((one) => one.startsWith('damaged-'))!
    rmSync(join(state, name), { recursive: true })
    const again = open(t, state)
    const { salvaged, unreadable } = await carriedOver(again)
    assert.equal(salvaged + unreadable, waiting.length)
    assert.deepEqual(await again.append([item()]), ['stored'])
    assert.equal(handedOut(again).length, salvaged + 1)
  })

  test('is given back to each of two sinks, one of which is slow', async (t) => {
    const dir = damaged()
    const sinks = ['a', 'b']
    const spool = open(t, dir, { sinks })
    const { salvaged } = await carriedOver(spool)
    const out = handedOut(spool)
    spool.ack('a', out.at(-1)!.seq)
    spool.ack('b', out[5]!.seq)
    assert.deepEqual([spool.lag('a'), spool.lag('b')], [0, salvaged - 6])
    spool.close()
    const again = open(t, dir, { sinks })
    assert.deepEqual(
      [again.report.resetSinks, again.lag('a'), again.lag('b')],
      [[], 0, salvaged - 6],
    )
    await again.append([item()])
    assert.deepEqual([again.lag('a'), again.lag('b'), again.count], [1, salvaged - 5, salvaged - 5])
    assert.equal(again.peek('b', 1, mib)[0]!.body, out[6]!.body)
    again.ack('a', again.peek('a', 1, mib)[0]!.seq)
    again.ack('b', 1)
    assert.equal(again.count, 0)
  })
})

describe('rejects of a damaged spool', () => {
  /** 100 rejects, of which some lie on pages that are spoiled, and a waiting event. */
  async function withRejects(t: TestContext): Promise<string> {
    const spool = open(t, freshFolder())
    const events = Array.from({ length: 100 }, () => item(2000))
    await spool.append(events)
    const out = handedOut(spool)
    spool.ack('a', out.at(-1)!.seq, out.map(refuse))
    await spool.append([item()])
    spool.close()
    const at = readFileSync(join(spool.dir, 'spool.db')).lastIndexOf(`{"n":${made - 50},`)
    const page = Math.floor(at / pageBytes)
    spoil(spool.dir, [page, page + 1])
    return spool.dir
  }

  test('that cannot be read are counted, and told again after a start', async (t) => {
    const dir = await withRejects(t)
    const spool = open(t, dir)
    const { unreadable, unreadable_rejects = 0 } = await carriedOver(spool)
    const { count } = spool.rejects.count('a')
    assert.ok(count > 80 && count < 100, `${count}`)
    assert.deepEqual([unreadable, unreadable_rejects], [0, 100 - count])
    spool.close()
    assert.equal(open(t, dir).report.damaged?.unreadable_rejects, 100 - count)
  })

  test('are counted too where an earlier version began, which did not', async (t) => {
    const dir = await withRejects(t)
    open(t, dir).close()
    const db = new Database(join(dir, 'spool.db'))
    db.exec('alter table carry drop column unreadable_rejects')
    db.close()
    const { unreadable_rejects = 0 } = await carriedOver(open(t, dir))
    assert.ok(unreadable_rejects > 0)
  })

  test('keep no new event waiting until they are carried over', async (t) => {
    const spool = open(t, await withRejects(t))
    const seen: string[] = []
    spool.onAppend(() => {
      seen.push(`${spool.carrying ? 'carrying' : 'done'}, events up to ${spool.lastOut}`)
    })
    assert.deepEqual(await spool.append([item()]), ['stored'])
    await carriedOver(spool)
    assert.ok(seen.includes('carrying, events up to 1'), seen.join('; '))
  })
})
