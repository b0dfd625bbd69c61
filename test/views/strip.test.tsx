import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { Job } from '../../src/core/job.ts'
import { Strip, sideOfUsual } from '../../views/partials/strip.tsx'
import { aJob } from '../support/sample-jobs.ts'

const usual = { runs: 40, p05S: 8, p50S: 16, p95S: 32 }
const of = (changes: Partial<Job> = {}) => aJob({ usual, ...changes })

/** The position of the dot in percent, and the label. */
function drawn(job: Job, seconds: number) {
  const html = String(<Strip job={job} seconds={seconds} />)
  return {
    x: Number(/cx="([\d.]+)%"/.exec(html)?.[1]),
    label: /aria-label="([^"]*)"/.exec(html)?.[1]?.replaceAll('\u00a0', ' '),
    hollow: html.includes('f-dot o'),
  }
}

describe('a duration against the usual ones', () => {
  test('is on a scale of doublings around the median, and never outside it', () => {
    const { x: median } = drawn(of(), 16)
    const { x: twice } = drawn(of(), 32)
    const { x: half } = drawn(of(), 8)
    assert.ok(Math.abs(twice - median - (median - half)) < 0.1)
    assert.equal(drawn(of(), 1e9).x, 95)
    assert.equal(drawn(of(), 0).x, 5)
  })

  test('is also given in words', () => {
    assert.equal(drawn(of(), 20).label, 'usual 8.00 s to 0:32')
    assert.equal(drawn(of(), 33).label, 'above usual 8.00 s to 0:32')
    assert.equal(drawn(of(), 7).label, 'below usual 8.00 s to 0:32')
  })

  test('does not call a running job short', () => {
    const job = of({ status: 'running' })
    assert.equal(sideOfUsual(1, job), undefined)
    assert.equal(sideOfUsual(33, job), 'above')
    assert.ok(drawn(job, 1).hollow)
    assert.ok(!drawn(of(), 1).hollow)
  })

  test('is left out where the usual is not known', () => {
    const { usual: _, ...bare } = of()
    assert.equal(String(<Strip job={bare} seconds={3} />), '')
    assert.equal(sideOfUsual(3, bare), undefined)
  })
})
