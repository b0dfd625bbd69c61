import { appendFileSync, existsSync, mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Claim } from './bench.ts'
import type { Machine, Versions } from './machine.ts'

/** One run of one bench, with every figure that was taken. */
export type Result = {
  name: string
  about: string
  at: string
  unit: string
  seconds: number
  turns: number
  /** Figures by side, in the order in which they were taken. */
  raw: Record<string, number[]>
  verdicts: Verdict[]
  facts: Record<string, string | number>
  machine: Machine
  versions: Versions
  noise: { loadBefore: number; stolenPercent: number }
}

export type Verdict = Claim & { figure: number; other?: number; ratio?: number; met?: boolean }

const folder = 'bench/results'
const fileOf = (name: string) => join(folder, `${name}.ndjson`)

/** Adds a row to the bench's file. */
export function keep(result: Result): void {
  mkdirSync(folder, { recursive: true })
  appendFileSync(fileOf(result.name), `${JSON.stringify(result)}\n`)
}

/** The latest row of a bench, if it was ever run. */
export function latest(name: string): Result | undefined {
  if (!existsSync(fileOf(name))) return undefined
  const last = readFileSync(fileOf(name), 'utf8').trim().split('\n').at(-1)
  return last ? (JSON.parse(last) as Result) : undefined
}
