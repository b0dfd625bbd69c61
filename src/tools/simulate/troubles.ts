import type { App, ErrorText } from './fab.ts'
import type { Dice } from './random.ts'

/** A time in which something does not work, in ms from the start. */
export type Down = { from: number; to: number }

/** Average time between breakdowns of one tool, and how long one lasts. */
const tool = { betweenMs: 40 * 60_000, lastsMs: 90_000 }
/** The same for a server that a program needs: rarer, but many jobs are affected. */
const server = { betweenMs: 90 * 60_000, lastsMs: 150_000 }

/** The times at which tools and servers are down, by the seed. Queries must come in time order. */
export function troubles(dice: Dice) {
  const known = new Map<string, Down>()
  const next = (name: string, atMs: number, { betweenMs, lastsMs }: typeof tool): Down => {
    let down = known.get(name)
    while (!down || down.to < atMs) {
      const from = (down?.to ?? 0) + dice.exponential(betweenMs)
      down = { from, to: from + dice.exponential(lastsMs) }
    }
    known.set(name, down)
    return down
  }
  return {
    /** The breakdown that a tool is in, or its next one. */
    ofTool: (name: string, atMs: number) => next(name, atMs, tool),
    /** True while the server of a program is down. */
    ofServer: (app: App, atMs: number) =>
      app.server !== undefined && next(app.server, atMs, server).from <= atMs,
  }
}

/** The error of a program whose tool is down. */
export function breakdownText(dice: Dice, name: string, { from, to }: Down): ErrorText {
  const minutes = Math.max(1, Math.round((to - from) / 60_000))
  return dice.chance(0.6)
    ? ['ToolDown', `${name} is down, expected for ${minutes} min`]
    : ['ConnectionLost', `${name} closed the HSMS connection`]
}

export const outageText = (app: App): ErrorText => [
  'ServerUnreachable',
  `${app.server} does not answer (connect timeout after 5 s)`,
]

/** `{2-9}` becomes a number of that range. */
export function filled(dice: Dice, [type, text]: ErrorText): ErrorText {
  const numbers = /\{(\d+)-(\d+)\}/g
  return [
    type,
    text.replaceAll(numbers, (_, min, max) => `${dice.whole(Number(min), Number(max))}`),
  ]
}
