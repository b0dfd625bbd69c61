import type { Bench, Claim, Measured, Options, Started } from './bench.ts'
import { withContext } from './context.ts'
import { machine, versions, watchNoise } from './machine.ts'
import { median, shown } from './numbers.ts'
import type { Result, Verdict } from './results.ts'

/** Runs a bench from its start to its verdicts. */
export function measure(bench: Bench, options: Options): Promise<Result> {
  return withContext(options, async (context) => {
    const noise = watchNoise()
    const started = await bench.start(context)
    const raw = await alternate(started, options, context.log)
    return {
      name: bench.name,
      about: bench.about,
      at: new Date().toISOString(),
      unit: bench.unit,
      seconds: options.seconds,
      turns: options.turns,
      raw,
      verdicts: started.claims.map((claim) => judge(claim, raw)),
      facts: started.facts?.() ?? {},
      machine: machine(),
      versions: versions(),
      noise: noise(),
    }
  })
}

/** Each side in turn, a round not counted first; the order turns round, so that drift hits all. */
async function alternate(
  { sides }: Started,
  { seconds, turns }: Options,
  log: (text: string) => void,
): Promise<Record<string, number[]>> {
  const raw: Record<string, number[]> = {}
  for (let turn = 0; turn <= turns; turn++) {
    const order = Object.entries(sides)
    if (turn % 2 === 1) order.reverse()
    for (const [name, side] of order) {
      const measured = await side(turn === 0 ? Math.min(seconds, 3) : seconds)
      for (const [each, figure] of figuresOf(name, measured)) {
        log(`  ${turn === 0 ? 'warming up' : `turn ${turn}`}: ${each} ${shown(figure)}`)
        raw[each] ??= []
        if (turn > 0) raw[each].push(figure)
      }
    }
  }
  return raw
}

function figuresOf(side: string, measured: number | Measured): [string, number][] {
  if (typeof measured === 'number') return [[side, measured]]
  const also = Object.entries(measured.also).map(([name, figure]): [string, number] => [
    `${side}, ${name}`,
    figure,
  ])
  return [[side, measured.figure], ...also]
}

function judge(claim: Claim, raw: Record<string, number[]>): Verdict {
  const figure = median(raw[claim.side]!)
  const other = claim.against === undefined ? undefined : median(raw[claim.against]!)
  const judged = other === undefined ? figure : figure / other
  const { atLeast, atMost } = claim
  const met =
    atLeast !== undefined ? judged >= atLeast : atMost !== undefined ? judged <= atMost : undefined
  return {
    ...claim,
    figure,
    ...(other === undefined ? {} : { other, ratio: judged }),
    ...(met === undefined ? {} : { met }),
  }
}
