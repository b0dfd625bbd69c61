import { must } from '../../core/must.ts'

/** Numbers from 0 to 1 that a seed decides (mulberry32: small, fast, good enough for a demo fab). */
export function randomFrom(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296
  }
}

export type Dice = ReturnType<typeof diceFrom>

/** Draws of the kinds that a fab needs, all from one seed. */
export function diceFrom(seed: number) {
  const random = randomFrom(seed)
  const draw = <T>(list: readonly T[]): T | undefined => list[Math.floor(random() * list.length)]
  return {
    chance: (share: number) => random() < share,
    whole: (min: number, max: number) => min + Math.floor(random() * (max - min + 1)),
    between: (min: number, max: number) => min + random() * (max - min),
    pick: <T>(list: readonly T[]): T => must(draw(list), 'this list is never empty'),
    /** Undefined for an empty list. */
    pickIfAny: draw,
    /** Waiting times between independent arrivals. */
    exponential: (mean: number) => -mean * Math.log(1 - random()),
    /** Around `median`, never negative, now and then much longer. */
    lognormal: (median: number, sigma: number) => {
      const normal = Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random())
      return median * Math.exp(sigma * normal)
    },
  }
}
