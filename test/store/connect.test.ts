import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { Metrics } from '../../src/platform/metrics.ts'
import { connect, type Store } from '../../src/store/connect.ts'
import { codeFromError, explainError, isUnreachable } from '../../src/store/database-error.ts'
import { canonicalTime } from '../../src/store/driver.ts'
import { freshDatabase } from '../support/database.ts'
import { until } from '../support/processes.ts'
import { silentProxy } from '../support/proxies.ts'
import { openOn, openStore, run } from '../support/store.ts'

const op = { operation: 'test', table: 'none' }

/** Statements that run now in this database and contain a text. */
const running = async (store: Store, text: string) =>
  (
    await run(
      store,
      `select pid from pg_stat_activity where state = 'active' and query like '%${text}%'
       and datname = current_database() and pid <> pg_backend_pid()`,
    )
  ).map(({ pid }) => Number(pid))

describe('a question', () => {
  test('that takes too long is ended by the server, and reported as overload with a remedy', async (t) => {
    const { store, url } = await openStore(t, 'plain')
    const hasty = openOn(t, url, { timeoutS: 0.2, max: 1 })
    await assert.rejects(
      hasty.ask(op, (sql) => sql`select pg_sleep(60)`),
      { code: 'overloaded', message: /took too long; narrow the window/, retryAfterS: 2 },
    )
    assert.deepEqual(await running(store, 'pg_sleep(60)'), [])
    assert.deepEqual(hasty.pool(), { size: 1, available: 1 })
    assert.equal((await run(hasty, 'select 1 as n'))[0]?.n, 1)
  })

  test('whose caller is gone ends immediately for the caller, and soon in the server', async (t) => {
    const { store } = await openStore(t, 'plain')
    const caller = new AbortController()
    const asked = store.ask(op, (sql) => sql`select pg_sleep(61)`, caller.signal)
    asked.catch(() => {})
    await until('it to run', async () => (await running(store, 'pg_sleep(61)')).length === 1)
    caller.abort(new Error('gone'))
    await assert.rejects(asked, /gone/)
    await until('it to end', async () => (await running(store, 'pg_sleep(61)')).length === 0)
    await until('its room', () => store.pool().available === 4)
  })

  test('of a caller who was gone before is not asked', async (t) => {
    const { store } = await openStore(t, 'plain')
    const asked = store.ask(
      op,
      (sql) => sql`create table never (n int)`,
      AbortSignal.abort(new Error('gone')),
    )
    await assert.rejects(asked, /gone/)
    assert.equal((await run(store, `select to_regclass('never') as t`))[0]?.t, null)
  })

  test('that a stray cancel hits is asked again', async (t) => {
    const { store, url } = await openStore(t, 'plain')
    const patient = openOn(t, url, { timeoutS: 60, max: 1 })
    let asked = 0
    const answer = patient.ask<{ n: number }[]>(op, (sql) => {
      asked++
      return sql`select 7 as n, pg_sleep(${asked === 1 ? 30 : 0})`
    })
    const pid = await until('it to run', async () => (await running(store, 'as n, pg_sleep'))[0])
    await run(store, `select pg_cancel_backend(${pid})`)
    assert.equal((await answer)[0]?.n, 7)
    assert.equal(asked, 2)
  })

  test('waits for room no longer than a statement may take', async (t) => {
    const { url } = await openStore(t, 'plain')
    const narrow = openOn(t, url, { max: 1, timeoutS: 0.5 })
    const first = narrow.ask(op, (sql) => sql`select pg_sleep(60)`)
    const second = narrow.ask(op, (sql) => sql`select 1`)
    await assert.rejects(second, { code: 'overloaded' })
    await assert.rejects(first, { code: 'overloaded' })
  })

  test('on a connection that went silent fails in time, and the next one gets a new one', async (t) => {
    const { url } = await freshDatabase(t)
    const proxy = await silentProxy(t, url)
    const store = openOn(t, proxy.url, { max: 1, timeoutS: 0.2 })
    assert.equal((await run(store, 'select 1 as n'))[0]?.n, 1)
    proxy.cut()
    await assert.rejects(run(store, 'select 2 as n'), { code: 'unavailable' })
    proxy.repair()
    const again = () => run(store, 'select 3 as n').catch(() => undefined)
    assert.equal((await until('an answer', again))[0]?.n, 3)
  })

  test('on a connection that was killed fails as unavailable, and the next one works', async (t) => {
    const { store, url } = await openStore(t, 'plain')
    const other = openOn(t, url, { max: 1 })
    const asked = run(other, 'select pg_sleep(62)')
    asked.catch(() => {})
    const pid = await until('it to run', async () => (await running(store, 'pg_sleep(62)'))[0])
    await run(store, `select pg_terminate_backend(${pid})`)
    await assert.rejects(asked, (error) => isUnreachable(error))
    // The driver may learn only now that the connection is gone, not just the question.
    const again = () => run(other, 'select 1 as n').catch(() => undefined)
    assert.equal((await until('an answer', again))[0]?.n, 1)
  })
})

describe('a transaction', () => {
  test('is kept when its work resolves, and not when it rejects', async (t) => {
    const { store } = await openStore(t, 'plain')
    await run(store, 'create table kept (n int)')
    await store.begin(op, (tx) => tx`insert into kept values (1)`)
    const failed = store.begin(op, async (tx) => {
      await tx`insert into kept values (2)`
      throw new Error('no')
    })
    await assert.rejects(failed, /no/)
    assert.deepEqual([...(await run(store, 'select n from kept'))], [{ n: 1 }])
  })
})

describe('values', () => {
  test('keep microseconds, names inside JSON, and numbers beyond 2^53', async (t) => {
    const { store } = await openStore(t, 'plain')
    const [row] = await run(
      store,
      `select '2026-03-01T12:00:00.000001+02:00'::timestamptz as some_time,
         '{"carrier_id": "F1", "Etch_Rate": {"sub_key": 1}}'::jsonb as some_json,
         9007199254740993::int8 as big_one, 7::int8 as small_one, '-infinity'::timestamptz as never`,
    )
    assert.deepEqual(row, {
      someTime: '2026-03-01T10:00:00.000001Z',
      someJson: { carrier_id: 'F1', Etch_Rate: { sub_key: 1 } },
      bigOne: 9007199254740993n,
      smallOne: 7,
      never: '-infinity',
    })
  })

  test('that are times have one form', () => {
    assert.equal(canonicalTime('2026-03-01 12:00:00+00'), '2026-03-01T12:00:00.000000Z')
    assert.equal(canonicalTime('2026-03-01 12:00:00.5+00'), '2026-03-01T12:00:00.500000Z')
    assert.equal(canonicalTime('infinity'), 'infinity')
  })
})

describe('the pool', () => {
  test('is counted: room over all pools of a role, and each question by what it did', async (t) => {
    const { url } = await freshDatabase(t)
    const metrics = new Metrics()
    const [one, two] = [openOn(t, url, { max: 2, metrics }), openOn(t, url, { max: 3, metrics })]
    const shown = async (name: string) =>
      (await metrics.registry.metrics()).split('\n').filter((line) => line.startsWith(name))
    assert.deepEqual(await shown('db_pool_'), ['db_pool_size 5', 'db_pool_available 5'])
    const slow = one.ask(op, (sql) => sql`select pg_sleep(0.2)`)
    await until('it to be in', () => one.pool().available === 1)
    assert.deepEqual(await shown('db_pool_a'), ['db_pool_available 4'])
    await slow
    await assert.rejects(two.ask({ operation: 'ask', table: 'job' }, (sql) => sql`select 1 / 0`))
    assert.deepEqual(await shown('db_pool_a'), ['db_pool_available 5'])
    assert.deepEqual(await shown('db_operations_total'), [
      'db_operations_total{operation="test",table="none",status="ok"} 1',
      'db_operations_total{operation="ask",table="job",status="error"} 1',
    ])
  })

  test('opens the least number of connections when it is warmed, named by its role', async (t) => {
    const { store, url } = await openStore(t, 'plain')
    const warm = openOn(t, url, { role: 'local-api read', max: 5, min: 3 })
    await warm.warm()
    const [row] = await run(
      store,
      `select count(*)::int as n from pg_stat_activity
       where application_name = 'wafermon local-api read' and datname = current_database()`,
    )
    assert.equal(row?.n, 3)
  })

  test('does not wait when it is warmed and the database is away', async () => {
    const store = connect('postgres://u:p@127.0.0.1:1/x', { role: 'test', max: 2, min: 2 })
    await store.warm()
    await store.close()
  })
})

describe('an address', () => {
  const refuse = (url: string) => {
    try {
      connect(url, { role: 'test', max: 1 })
    } catch (error) {
      return String(error)
    }
    return undefined
  }

  test('that is invalid is refused in words that do not repeat its password', () => {
    for (const url of ['nonsense', 'mysql://u:secret@h/x', 'postgres//u:secret@h', '']) {
      const said = refuse(url)
      assert.match(said ?? '', /DATABASE_URL must be postgres:\/\/user:password@host:port/)
      assert.doesNotMatch(said ?? '', /secret/)
    }
  })

  test('may name a user, password and settings with signs in them', async (t) => {
    const { store, url } = await openStore(t, 'plain')
    const name = `u_${process.pid}`
    await run(store, `create role "${name}@x" login password 'p/w?#%'`)
    t.after(() => run(openOn({ after: () => {} }, url), `drop role "${name}@x"`).catch(() => {}))
    const other = new URL(url)
    other.username = `${name}%40x`
    other.password = encodeURIComponent('p/w?#%')
    other.searchParams.set('work_mem', '7MB')
    const said = await run(
      openOn(t, other.href),
      `select current_user as who, current_setting('work_mem') as work_mem`,
    )
    assert.deepEqual([...said], [{ who: `${name}@x`, workMem: '7MB' }])
    other.password = 'wrong'
    await assert.rejects(run(openOn(t, other.href), 'select 1'), {
      code: 'unavailable',
      message: /refused the password; correct the user or password in DATABASE_URL/,
    })
  })

  test('of a database that is not there says so, with the remedy', async (t) => {
    const { url } = await freshDatabase(t)
    const other = new URL(url)
    other.pathname = '/not_there'
    await assert.rejects(run(openOn(t, other.href), 'select 1'), {
      code: 'unavailable',
      message: /does not exist; create it/,
    })
    await assert.rejects(run(openOn(t, 'postgres://u:p@127.0.0.1:1/x'), 'select 1'), {
      code: 'unavailable',
      message: /cannot be reached \(ECONNREFUSED\)/,
    })
  })
})

describe('an error of the database', () => {
  const withCode = (code: string) => Object.assign(new Error('select secret from t'), { code })

  test('becomes words with a remedy and without SQL, or stays what it was', () => {
    const codes: Record<string, string> = {
      '57P01': 'unavailable',
      '08006': 'unavailable',
      '25006': 'unavailable',
      '53100': 'overloaded',
      '53300': 'overloaded',
      '57014': 'overloaded',
      '40P01': 'overloaded',
      '40001': 'overloaded',
      '55P03': 'overloaded',
      '42P01': 'unavailable',
      '42501': 'unavailable',
    }
    for (const [code, kind] of Object.entries(codes)) {
      const told = explainError(withCode(code)) as Error & { code: string }
      assert.equal(told.code, kind, code)
      assert.doesNotMatch(told.message, /secret/)
    }
    const bug = withCode('42703')
    assert.equal(explainError(bug), bug)
  })

  test('has a code only when it says one', () => {
    assert.equal(codeFromError(withCode('42703')), '42703')
    for (const none of [undefined, null, 'x', new Error('x'), { code: 7 }]) {
      assert.equal(codeFromError(none), undefined)
    }
  })
})
