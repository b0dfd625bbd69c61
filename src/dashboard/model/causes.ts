import type { Cause, Causes } from '../../../views/partials/causes.tsx'
import type { CauseCount, CauseFact } from '../../core/questions/causes.ts'
import { boundRate } from '../../core/rate.ts'

/** Fewer failures are no pattern. */
export const fewest = 3
/** Maximum values shown, of all facts and of one. */
const [rowsShown, rowsOfFact] = [8, 3]

type Counted = { failed: number; ended: number }
type Ranked = Cause & { excess: number; excessNow: number }

/**
 * Finds what failures have in common: values whose jobs fail more often than all others that ended in
 * the same window. A value counts when the least of its rate is above the most of the others', each with
 * its bound of confidence at 95 %: so neither two failures of three nor two equal rates are a cause.
 *
 * What stands out in the recent part of the window comes first, then what did over all of it, each by
 * the number of failures beyond those that the others' rate explains.
 */
export function findCauses(counts: readonly CauseCount[]): Omit<Causes, 'cut'> {
  const all = counts.find(({ fact }) => fact === 'all')
  if (all === undefined) return { rows: [], failed: 0, ended: 0 }
  const ranked = counts
    .filter(({ fact }) => fact !== 'all')
    .map((count) => toRanked(count, all))
    .filter(({ excess, excessNow }) => excess > 0 || excessNow > 0)
  const rows = dropEchoes(ranked).sort(
    (a, b) => b.excessNow - a.excessNow || b.excess - a.excess || (a.value < b.value ? -1 : 1),
  )
  const shown = new Map<CauseFact, number>()
  const isShown = ({ fact }: Cause) => {
    const n = (shown.get(fact) ?? 0) + 1
    shown.set(fact, n)
    return n <= rowsOfFact
  }
  return {
    rows: rows
      .filter(isShown)
      .slice(0, rowsShown)
      .map(({ excess: _, excessNow: __, ...cause }) => cause),
    failed: all.failed,
    ended: all.ended,
  }
}

function toRanked(count: CauseCount, all: CauseCount): Ranked {
  const { fact, value, of, failed, ended } = count
  const others = { failed: all.failed - failed, ended: all.ended - ended }
  const now = { failed: count.recentFailed, ended: count.recentEnded }
  const othersNow = {
    failed: all.recentFailed - now.failed,
    ended: all.recentEnded - now.ended,
  }
  const excessNow = countExcess(now, othersNow)
  return {
    ...{ fact, value, of, failed, ended, others },
    low: boundRate(failed, ended).low,
    now: excessNow > 0 ? now : undefined,
    excess: countExcess({ failed, ended }, others),
    excessNow,
  }
}

/** Failures that the rate of the others does not explain; 0 where that is within the bounds. */
function countExcess({ failed, ended }: Counted, others: Counted): number {
  if (failed < fewest || others.ended <= 0) return 0
  if (boundRate(failed, ended).low <= boundRate(others.failed, others.ended).high) return 0
  return failed - (ended * others.failed) / others.ended
}

/**
 * The only version of an app says no more than the app does; an error that is only an exit code, or the name of
 * a type, no more than those, which lead to exactly their jobs where a text leads to a search.
 */
function dropEchoes(rows: readonly Ranked[]): Ranked[] {
  const codes = rows.filter(({ fact }) => fact === 'exit_code')
  const types = rows.filter(({ fact }) => fact === 'error_type')
  const isEcho = ({ value, failed }: Ranked) =>
    value === 'exit code #'
      ? codes.reduce((sum, row) => sum + row.failed, 0) >= failed
      : types.some((row) => row.value === value && row.failed >= failed)
  const apps = new Map(rows.filter(({ fact }) => fact === 'app').map((row) => [row.value, row]))
  return rows.filter((row) => {
    const { fact, of, failed, ended } = row
    if (fact === 'error') return !isEcho(row)
    const app = fact === 'version' ? apps.get(of ?? '') : undefined
    return app?.failed !== failed || app.ended !== ended
  })
}

/** How long an answer is kept, in milliseconds: a long window takes long to count, and changes little. */
export const keepCausesMs = (windowS: number): number =>
  Math.min(Math.max((windowS * 1000) / 400, 10_000), 600_000)
