import {
  type App,
  download,
  families,
  mapMerge,
  mapRecipes,
  mapTools,
  metrology,
  metrologyTools,
  move,
  moveTools,
} from './fab.ts'
import type { Dice } from './random.ts'

/** The next operation of a lot: a program, a tool and a recipe. */
export type Operation = { app: App; tool: string; details: Record<string, string> }

/** Wafers that travel together. It is in one place at a time. */
export type Lot = {
  key: string
  wafers: number
  hot: boolean
  carrier: string
  route: string
  /** Number of its step in the route. */
  step: number
  /** The rest of the step; never empty before the lot ends. */
  ahead: Operation[]
  /** Start of its wait, or end of its operation, in ms from the start. */
  readyMs: number
}

/** Steps between two numbers of a route; a route here is short, so that lots come to an end. */
const stepSize = 10
const steps = 12
/** Longest that a lot has waited when the fab starts. */
const beforeMs = 180_000
const bays = ['BAY2', 'BAY4', 'BAY7', 'BAY9']

/**
 * The lots of a fab in full operation, each somewhere on its route. A lot that ends is replaced by a
 * new one.
 */
export function lotPool(dice: Dice, size: number, firstLot = 4200) {
  let started = firstLot
  const lots: Lot[] = Array.from({ length: size }, () => {
    const lot = newLot(dice, started++, dice.whole(1, steps - 1))
    const ahead = lot.ahead.slice(dice.whole(0, lot.ahead.length - 1))
    return { ...lot, ahead, readyMs: -dice.between(0, beforeMs) }
  })

  return {
    /** The lot that is worked on next; hot ones seldom wait. Undefined when all are busy. */
    next(atMs: number): Lot | undefined {
      const ready = lots.filter((lot) => lot.readyMs <= atMs)
      const hot = ready.filter((lot) => lot.hot)
      return hot.length > 0 && dice.chance(0.6) ? dice.pick(hot) : dice.pickIfAny(ready)
    },

    /** Ends the operation of a lot. One that did not succeed must be repeated. */
    done(lot: Lot, succeeded: boolean, readyMs: number): void {
      lot.readyMs = readyMs
      if (succeeded) lot.ahead.shift()
      if (lot.ahead.length > 0) return
      lot.step += stepSize
      if (lot.step <= steps * stepSize) lot.ahead = operationsOf(dice, lot.step)
      else lots[lots.indexOf(lot)] = { ...newLot(dice, started++, 1), readyMs }
    },
  }
}

function newLot(dice: Dice, number: number, step: number): Lot {
  return {
    key: `L26N${number}.${dice.chance(0.85) ? 1 : 2}`,
    wafers: dice.chance(0.7) ? 25 : dice.pick([5, 12, 13, 24]),
    hot: dice.chance(0.02),
    carrier: `FOUP-${String(dice.whole(1, 1400)).padStart(4, '0')}`,
    route: dice.pick(['N38-LV', 'N65-HV']),
    step: step * stepSize,
    ahead: operationsOf(dice, step * stepSize),
    readyMs: 0,
  }
}

/** Recipe, process, measurement of most lots, and on to the next bay; the maps at the very end. */
function operationsOf(dice: Dice, step: number): Operation[] {
  if (step === steps * stepSize) {
    const recipe = dice.pick(mapRecipes)
    return [{ app: mapMerge, tool: dice.pick(mapTools), details: { recipe } }]
  }
  const family = dice.pick(families)
  const tool = dice.pick(family.tools)
  const details = { recipe: dice.pick(family.recipes) }
  const measured = dice.chance(0.6)
  const gauge = { tool: dice.pick(metrologyTools), details: { recipe: family.metrology } }
  return [
    { app: download, tool, details },
    { app: family.app, tool, details: { ...details, chamber: dice.pick(['A', 'B', 'C']) } },
    ...(measured ? [{ app: metrology, ...gauge }] : []),
    { app: move, tool: dice.pick(moveTools), details: wayOf(dice) },
  ]
}

function wayOf(dice: Dice): Record<string, string> {
  const from = dice.pick(bays)
  return { from, to: dice.pick(bays.filter((bay) => bay !== from)) }
}
