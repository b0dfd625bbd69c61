import { existsSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { connect } from '../../src/store/connect.ts'
import { run } from '../support/store.ts'

/*
 * Wall clocks that can be moved. That of a process by libfaketime, which leaves its monotonic clock
 * alone, as a step by NTP does. That of the database by functions of the same names in a schema that
 * is searched first: what the program asks the database for, it gets from them.
 */

const libraries = ['x86_64', 'aarch64'].map(
  (machine) => `/usr/lib/${machine}-linux-gnu/faketime/libfaketime.so.1`,
)

/** A clock for one process. */
export type MovableClock = { env: Record<string, string>; move(seconds: number): void }

/** @returns undefined where libfaketime is not installed */
export function movableClock(dir: string): MovableClock | undefined {
  const library = libraries.find((path) => existsSync(path))
  if (library === undefined) return undefined
  const file = join(dir, 'clock')
  const move = (seconds: number) => {
    // Read at any moment: a half-written one would be another time.
    writeFileSync(`${file}.next`, `${seconds < 0 ? '' : '+'}${seconds}\n`)
    renameSync(`${file}.next`, file)
  }
  move(0)
  const env = {
    LD_PRELOAD: library,
    FAKETIME_TIMESTAMP_FILE: file,
    FAKETIME_NO_CACHE: '1',
    FAKETIME_DONT_FAKE_MONOTONIC: '1',
    DONT_FAKE_MONOTONIC: '1',
  }
  return { env, move }
}

/** Gives a database a clock that can be moved; for connections that are opened after this. */
export async function movableDatabaseClock(
  url: string,
): Promise<(seconds: number) => Promise<void>> {
  const store = connect(url, { role: 'chaos clock', max: 1 })
  const name = new URL(url).pathname.slice(1)
  for (const statement of [
    'create schema moved',
    'create table moved.step (seconds float8 not null)',
    'insert into moved.step values (0)',
    ...['now', 'clock_timestamp', 'statement_timestamp', 'transaction_timestamp'].map(
      (clock) => `create function moved.${clock}() returns timestamptz stable language sql as
        $$ select pg_catalog.${clock}() + make_interval(secs => (select seconds from moved.step)) $$`,
    ),
    `alter database ${name} set search_path = moved, pg_catalog, public`,
  ]) {
    await run(store, statement)
  }
  await store.close()
  return async (seconds) => {
    const mover = connect(url, { role: 'chaos clock', max: 1 })
    try {
      await run(mover, `update moved.step set seconds = ${seconds}`)
    } finally {
      await mover.close()
    }
  }
}
