import { test } from 'node:test'

/*
 * `.ci/run` has 45 minutes. Of tests that are many of one kind it takes a part, in the short form of
 * `npm run test:faults`; without `--short` each of them runs. What is left out is always beside one of its
 * kind that stays.
 */

export const isShort = process.env.TEST_SHORT === '1'

/** Of cases of one kind: all of them, or in the short form one of `n`, the first included. */
export const fewer = <T>(cases: readonly T[], n: number): readonly T[] =>
  isShort ? cases.filter((_, i) => i % n === 0) : cases

/** A test that the short form leaves out. */
export const longTest = (isShort ? () => Promise.resolve() : test) as typeof test
