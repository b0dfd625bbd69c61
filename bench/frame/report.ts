import { readFileSync, writeFileSync } from 'node:fs'
import { shown } from './numbers.ts'
import { latest, type Result, type Verdict } from './results.ts'

const file = 'docs/performance.md'
const [begin, end] = ['<!-- results -->', '<!-- end of results -->']

/** For the terminal. */
export function printed(result: Result): string {
  const { name, machine, versions, noise, facts, unit } = result
  return [
    `${name}: ${result.about}`,
    `  ${machine.cpu}, ${machine.cores} cores, ${machine.memoryGiB} GiB, Linux ${machine.kernel}, ${machine.disk}`,
    `  Node ${versions.node}, SQLite ${versions.sqlite}, commit ${commitOf(result)}, ${factsOf(facts)}`,
    `  load before ${noise.loadBefore}, CPU stolen by the host ${noise.stolenPercent} %`,
    ...result.verdicts.map((verdict) => `  ${said(verdict, unit)}`),
  ].join('\n')
}

function said(verdict: Verdict, unit: string): string {
  const { side, figure, against, other, ratio } = verdict
  const first = `${side} ${shown(figure)} ${verdict.unit ?? unit}`
  const second = other === undefined ? '' : ` / ${against} ${shown(other)} = ${shown(ratio!)}`
  return `${first}${second}${targetOf(verdict)}${verdict.met === false ? '  MISSED' : ''}`
}

const targetOf = ({ atLeast, atMost }: Verdict) =>
  atLeast !== undefined
    ? `, at least ${atLeast}`
    : atMost !== undefined
      ? `, at most ${atMost}`
      : ''

const commitOf = ({ versions }: Result) =>
  versions.commit + (versions.changed ? ' and changes' : '')

const factsOf = (facts: Result['facts']) =>
  Object.entries(facts)
    .map(([name, value]) => `${name} ${value}`)
    .join(', ')

/** Puts the latest result of each bench into the document. */
export function writeReport(names: readonly string[]): void {
  const text = readFileSync(file, 'utf8')
  const results = names.flatMap((name) => latest(name) ?? [])
  const [head, rest] = [text.indexOf(begin) + begin.length, text.indexOf(end)]
  if (rest < head) throw new Error(`${file} has lost its marks ${begin} and ${end}`)
  writeFileSync(file, `${text.slice(0, head)}\n\n${tables(results)}\n\n${text.slice(rest)}`)
}

const tables = (results: readonly Result[]) =>
  ['| Bench | Measured | Figure | Against | Ratio | Target | |', '|---|---|--:|--:|--:|--:|---|']
    .concat(results.flatMap(rowsOf))
    .concat(['', ...results.map(circumstances)])
    .join('\n')

const rowsOf = ({ name, unit, verdicts }: Result) =>
  verdicts.map((verdict) => {
    const { side, figure, against, other, ratio, met } = verdict
    const cells = [
      `\`${name}\``,
      side,
      `${shown(figure)} ${verdict.unit ?? unit}`,
      other === undefined ? '' : `${against}: ${shown(other)}`,
      ratio === undefined ? '' : shown(ratio),
      targetOf(verdict).replace(', ', ''),
      met === undefined ? '' : met ? 'reached' : '**missed**',
    ]
    return `| ${cells.join(' | ')} |`
  })

function circumstances(result: Result): string {
  const { name, at, seconds, turns, machine, versions, noise, facts } = result
  return (
    `- \`${name}\`, ${at.slice(0, 16)}Z: ${turns} turns of ${seconds} s; ${machine.cpu}, ${machine.cores} cores, ` +
    `${machine.memoryGiB} GiB, Linux ${machine.kernel}, ${machine.disk}; Node ${versions.node}, SQLite ${versions.sqlite}, ` +
    `${[factsOf(facts), `commit ${commitOf(result)}`].filter(Boolean).join(', ')}; load before ${noise.loadBefore}, ` +
    `${noise.stolenPercent} % of the CPU stolen by the host.`
  )
}
