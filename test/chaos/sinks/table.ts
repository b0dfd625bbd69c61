import type { Result } from './judge.ts'
import type { Site } from './site.ts'

export type Outcome = {
  /** The fault. */
  name: string
  sent: number
  seconds: number
  /** The sinks that it was set on. */
  hit: readonly string[]
  /** By the name of the sink. */
  results: ReadonlyMap<string, Result>
}

/** A line for each fault, a column for each sink: what its reader has. */
export function toTable({ cells }: Pick<Site, 'cells'>, outcomes: readonly Outcome[]): string {
  const names = cells.map(({ column }) => column.name)
  const lines = outcomes.map(({ name, sent, hit, results }) =>
    toLine([
      ...[name, sent.toLocaleString('en-US')],
      ...names.map((sink) => toCell(hit.includes(sink), results.get(sink))),
    ]),
  )
  const rule = `|---|--:|${names.map(() => '---|').join('')}`
  return [toLine(['Broken', 'Events', ...names]), rule, ...lines].join('\n')
}

const toLine = (cells: readonly string[]) => `| ${cells.join(' | ')} |`

/** A fault that does not exist for a sink must not harm it either. */
function toCell(isHit: boolean, result: Result | undefined): string {
  if (!result || result.wrong.length > 0) return '**wrong**'
  const { rejected, skipped } = result
  const parts = [
    ...(rejected > 0 ? [`${rejected.toLocaleString('en-US')} rejects`] : []),
    ...(skipped > 0 ? [`gap of ${skipped.toLocaleString('en-US')}`] : []),
  ]
  if (!isHit && parts.length === 0) return '–'
  return parts.length > 0 ? `once, ${parts.join(', ')}` : 'once'
}
