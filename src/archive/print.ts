import { AppError, ConfigError } from '../core/errors.ts'
import { print, printLine } from '../platform/stdout.ts'
import { recordedFiles, recordedManifests } from '../store/archive/files.ts'
import { connect } from '../store/connect.ts'
import { manifestFolder } from './layout.ts'
import type { Place } from './places/place.ts'
import type { Problem } from './problem.ts'
import { listArchive, type Summary, verifyArchive } from './verify.ts'

export type PrintFlags = { json: boolean; deep?: boolean }

/** `wafermon archive ls`. The exit code is 1 when a manifest cannot be read. */
export async function runList(place: Place, { json }: PrintFlags): Promise<void> {
  await assertArchive(place)
  await report(listArchive(place), json, 'listed')
}

/**
 * `wafermon archive verify`. The exit code is 1 when there is a problem.
 *
 * @param databaseUrl the database whose record is compared
 */
export async function runVerify(
  place: Place,
  { json, deep = false, databaseUrl }: PrintFlags & { databaseUrl: string | undefined },
): Promise<void> {
  await assertArchive(place)
  const done = deep ? 'read and compared' : 'compared'
  if (databaseUrl === undefined) {
    const hint = "not compared with the database's record (--database-url)"
    return report(verifyArchive(place, { deep }), json, `${done}, ${hint}`)
  }
  const store = connect(databaseUrl, { role: 'archive verify', max: 1 })
  try {
    const recorded = { files: recordedFiles(store), manifests: recordedManifests(store) }
    await report(
      verifyArchive(place, { deep, recorded }),
      json,
      `${done}, also with the database's record`,
    )
  } finally {
    await store.close()
  }
}

/**
 * An archive has manifests: a mount point with nothing mounted must not pass for a whole one.
 *
 * @throws ConfigError with the remedy
 */
export async function assertArchive(place: Place): Promise<void> {
  await place.check('read').catch((error: unknown) => {
    throw error instanceof AppError ? new ConfigError(error.message) : error
  })
  for await (const _ of place.list(manifestFolder)) return
  const { setting, address } = place
  throw new ConfigError(
    `${setting}: there is no archive in ${address}; choose its folder with --dir`,
  )
}

type Found = Summary | Problem

/** Prints as it goes: an archive of ten years and forty sites has a hundred thousand days. */
async function report(found: AsyncGenerator<Found>, json: boolean, done: string): Promise<void> {
  const printer = json ? jsonPrinter() : linePrinter(done)
  await printer.begin()
  for await (const item of found) {
    if ('problem' in item) process.exitCode = 1
    await printer.item(item)
  }
  await printer.end()
}

/** One document, `{days: [...], problems: [...]}`. Days are printed as they come; problems are few. */
function jsonPrinter() {
  const problems: Problem[] = []
  let days = 0
  return {
    begin: () => print('{"days":['),
    async item(found: Found) {
      if ('problem' in found) problems.push(found)
      else await print(`${days++ === 0 ? '\n' : ',\n'}${JSON.stringify(found)}`)
    },
    end: () => print(`],\n"problems":${JSON.stringify(problems)}}\n`),
  }
}

function linePrinter(done: string) {
  const sum = { days: 0, files: 0, bytes: 0, problems: 0 }
  return {
    begin: async () => {},
    async item(found: Found) {
      if ('problem' in found) {
        sum.problems++
        return printLine(`PROBLEM  ${found.path} ${found.problem}`)
      }
      sum.days++
      sum.files += found.files
      sum.bytes += found.bytes
      await printLine(toLine(found))
    },
    end: () => {
      const size = (sum.bytes / 1e6).toFixed(1)
      return printLine(
        `${sum.days} days, ${sum.files} files, ${size} MB ${done}; ${sum.problems} problems`,
      )
    },
  }
}

function toLine(summary: Summary): string {
  const { site, day, hour, rows, late_events, files, bytes, version, expired } = summary
  const events = rows.event === null ? 'raw events were already dropped' : `${rows.event} events`
  const late = late_events > 0 ? ` (${late_events} late)` : ''
  const counts = `${events}${late}, ${rows.job} jobs, ${rows.subjob} subjobs`
  const unit = hour === undefined ? day : `${day}T${String(hour).padStart(2, '0')}`
  const written = version === undefined ? '' : `, version ${version}`
  const gone = Object.entries(expired ?? {}).map(
    ([kind, { at, by }]) => `; ${kind} deleted ${at.slice(0, 10)} by ${by}`,
  )
  return `${site}  ${unit}  ${counts}, ${files} files, ${(bytes / 1e6).toFixed(2)} MB${written}${gone.join('')}`
}
