import { pino } from 'pino'
import { AppError, ConfigError } from '../core/errors.ts'
import { print, printLine } from '../platform/stdout.ts'
import type { Day } from '../store/archive/days.ts'
import { type Lease, openLease } from '../store/lease.ts'
import { type Compacted, compactDay, daysToCompact } from './compact-day.ts'
import { concernsDay } from './day-failure.ts'
import type { DueDayOptions } from './due-day.ts'
import { takeOver } from './intent.ts'
import type { Place } from './places/place.ts'
import { assertArchive } from './print.ts'
import { type Problem, toProblem } from './problem.ts'
import { deleteReplaced } from './replaced.ts'
import { assertRightPlace } from './right-place.ts'

/*
 * `wafermon archive compact`: what the archiver does in each of its rounds, now. It holds the archiver's lease meanwhile,
 * and needs the database for that, and for the record. May be killed at any time, as the archiver.
 */

export type CompactOptions = { json: boolean; databaseUrl: string | undefined }

/** The exit code is 1 when a day could not be compacted. @throws ConfigError with the remedy */
export async function runCompact(place: Place, { json, databaseUrl }: CompactOptions) {
  if (databaseUrl === undefined) {
    throw new ConfigError(
      'DATABASE_URL: compaction needs the database that has the record of this archive; set it, or give --database-url',
    )
  }
  await assertArchive(place)
  await place.check('write').catch((error: unknown) => {
    throw error instanceof AppError ? new ConfigError(error.message) : error
  })
  const lease = openLease(databaseUrl, 'archive', { role: 'archive compact' })
  try {
    if ((await lease.hold()) === undefined) {
      throw new AppError(
        'conflict',
        'an archiver is at work on this database, and compacts in each of its rounds by itself; stop it to do so now',
      )
    }
    await assertRightPlace(place, lease.reader)
    await compactAll(place, lease, json)
  } finally {
    await lease.close()
  }
}

async function compactAll(place: Place, lease: Lease, json: boolean): Promise<void> {
  const options: DueDayOptions = {
    ...{ lease, place, log: pino({ level: 'silent' }), signal: new AbortController().signal },
    assertOurs: async () => {
      await assertRightPlace(place, lease.reader)
      await lease.assertHeld()
    },
  }
  const days = await daysToCompact(lease.reader)
  const problems: Problem[] = []
  const printer = json ? jsonPrinter() : linePrinter()
  await printer.begin()
  for (const [i, day] of days.entries()) {
    const name = `${day.site} ${day.from.slice(0, 10)}`
    process.stderr.write(`compacting ${name} (${i + 1} of ${days.length})\n`)
    try {
      await takeOver(day.site, options)
      const done = await compactDay(day, options)
      await printer.day(day, done, (await deleteReplaced(day, options)).files)
    } catch (error) {
      if (!concernsDay(error)) throw error
      const problem = toProblem(name, error)
      problems.push(problem)
      await printer.problem(problem)
    }
  }
  await printer.end(days.length, problems)
  if (problems.length > 0) process.exitCode = 1
}

/** One document, `{days: [...], problems: [...]}`. Days are printed as they are done. */
function jsonPrinter() {
  let days = 0
  return {
    begin: () => print('{"days":['),
    day: ({ site, from }: Day, kinds: Compacted[], deleted: number) => {
      const item = { site, day: from.slice(0, 10), kinds, deleted_files: deleted }
      return print(`${days++ === 0 ? '\n' : ',\n'}${JSON.stringify(item)}`)
    },
    problem: async () => {},
    end: (_: number, problems: Problem[]) => print(`],\n"problems":${JSON.stringify(problems)}}\n`),
  }
}

function linePrinter() {
  return {
    begin: async () => {},
    async day({ site, from }: Day, kinds: Compacted[], deleted: number) {
      const name = `${site}  ${from.slice(0, 10)}`
      for (const { kind, before, after } of kinds) {
        const files = `${before.files} files of ${kind} are ${after.files} now`
        const rows = `${after.rows} of ${before.rows} rows`
        await printLine(
          `${name}  ${files}, ${rows}, ${megabytes(before)} to ${megabytes(after)} MB`,
        )
      }
      await printLine(`${name}  ${deleted} replaced files deleted`)
    },
    problem: ({ path, problem }: Problem) => printLine(`PROBLEM  ${path} ${problem}`),
    end: (days: number, problems: Problem[]) =>
      printLine(`${days} days to compact; ${problems.length} problems`),
  }
}

const megabytes = ({ bytes }: { bytes: number }) => (bytes / 1e6).toFixed(2)
