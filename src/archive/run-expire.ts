import { pino } from 'pino'
import { AppError, ConfigError } from '../core/errors.ts'
import { print, printLine } from '../platform/stdout.ts'
import { writeAudit } from '../store/audit.ts'
import { connect } from '../store/connect.ts'
import { type Lease, openLease } from '../store/lease.ts'
import { confirmExpiry, type ExpireLine, planExpiry } from './expire.ts'
import { readKeepYears } from './keep-years.ts'
import type { Place } from './places/place.ts'
import { assertRightPlace } from './right-place.ts'

export type ExpireFlags = {
  databaseUrl: string
  keepYears: string
  site: string | undefined
  /** Delete; only show what would be deleted unless set. */
  confirm: boolean
  by: string
  reason: string | undefined
  /** How long an archiver at work is waited for, in seconds. */
  waitS: number
  json: boolean
}

/** `wafermon archive expire`. The exit code is 1 when a day could not be dealt with. */
export async function runExpire(place: Place, flags: ExpireFlags): Promise<void> {
  const options = {
    place,
    keep: readKeepYears(flags.keepYears),
    site: flags.site,
    known: new Map(),
  }
  await place.check(flags.confirm ? 'write' : 'read').catch((error: unknown) => {
    throw error instanceof AppError ? new ConfigError(error.message) : error
  })
  if (flags.confirm) return runConfirmed(options, flags)
  const store = connect(flags.databaseUrl, { role: 'archive expire', max: 1 })
  try {
    await assertRightPlace(place, store)
    await report(planExpiry({ ...options, reader: store }), flags)
  } finally {
    await store.close()
  }
}

async function runConfirmed(
  options: Omit<Parameters<typeof planExpiry>[0], 'reader'>,
  flags: ExpireFlags,
): Promise<void> {
  const { by, reason, site, keepYears } = flags
  const lease = openLease(flags.databaseUrl, 'archive', { role: 'archive expire' })
  try {
    await assertRightPlace(options.place, lease.reader)
    await takeLease(lease, flags.waitS)
    const sums = await report(
      confirmExpiry({
        ...options,
        ...{ lease, by, reason, log: pino({ level: 'silent' }) },
        signal: new AbortController().signal,
        assertOurs: async () => {
          await assertRightPlace(options.place, lease.reader)
          await lease.assertHeld()
        },
      }),
      flags,
    )
    if (sums.deleted.days === 0) return
    await lease.store.begin({ operation: 'audit', table: 'audit' }, (tx) =>
      writeAudit(tx, {
        ...{ actor: by, address: null, action: 'archive.expire', object: site ?? 'all sites' },
        ...{ before: { keep_years: keepYears }, after: sums.deleted, reason: reason ?? null },
      }),
    )
  } finally {
    await lease.close()
  }
}

async function takeLease(lease: Lease, waitS: number): Promise<void> {
  if ((await lease.hold()) !== undefined) return
  process.stderr.write('an archiver is at work; waiting until it has nothing in hand\n')
  const held = await lease.waitFor(AbortSignal.timeout(waitS * 1000))
  if (held !== undefined) return
  throw new AppError(
    'unavailable',
    `an archiver is still at work after ${waitS} s; nothing was deleted: try again, or with a longer --wait`,
  )
}

type Sum = { days: number; files: number; bytes: number }
type Sums = Record<ExpireLine['outcome'], Sum>

const noSum = (): Sum => ({ days: 0, files: 0, bytes: 0 })

/** Prints as it goes. */
async function report(lines: AsyncGenerator<ExpireLine>, { json, confirm }: ExpireFlags) {
  const sums: Sums = {
    ...{ due: noSum(), deleted: noSum(), held: noSum(), kept: noSum(), failed: noSum() },
  }
  let n = 0
  if (json) await print('{"days":[')
  for await (const line of lines) {
    if (line.outcome === 'failed') process.exitCode = 1
    const sum = sums[line.outcome]
    sum.days++
    sum.files += line.files
    sum.bytes += line.bytes
    const isFirst = n++ === 0
    if (json) await print(`${isFirst ? '\n' : ',\n'}${JSON.stringify(line)}`)
    else await printLine(isFirst ? `${head}\n${toText(line)}` : toText(line))
  }
  if (json) await print(`],\n"confirmed":${confirm},"sums":${JSON.stringify(sums)}}\n`)
  else await printLine(toTotal(sums, confirm))
  return sums
}

const widths = [12, 10, 16, 5, 10, 7]

const toRow = (cells: readonly string[]) =>
  cells
    .map((cell, i) => {
      const width = widths[i] ?? 0
      return i === 3 || i === 4 ? cell.padStart(width) : cell.padEnd(width)
    })
    .join('  ')

const head = toRow(['SITE', 'DAY', 'WHAT', 'FILES', 'MB', 'OUTCOME', 'REASON'])

const toText = ({ site, day, kinds, files, bytes, outcome, reason }: ExpireLine) =>
  toRow([site, day, kinds.join(','), String(files), (bytes / 1e6).toFixed(2), outcome, reason])

function toTotal(sums: Sums, confirm: boolean): string {
  const parts = Object.entries(sums).flatMap(([outcome, { days, files, bytes }]) =>
    days === 0 ? [] : [`${outcome}: ${days} days, ${files} files, ${(bytes / 1e6).toFixed(1)} MB`],
  )
  const total = parts.length === 0 ? 'nothing is past its years' : parts.join('; ')
  const isPlan = !confirm && sums.due.days > 0
  return isPlan ? `${total}\nnothing was deleted; --confirm deletes what is due` : total
}
