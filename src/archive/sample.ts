import type { Logger } from 'pino'
import { AppError } from '../core/errors.ts'
import type { Metrics } from '../platform/metrics.ts'
import {
  chooseFailing,
  chooseSample,
  noteChecked,
  type SampledFile,
  type SampleState,
  sampleState,
} from '../store/archive/checks.ts'
import type { Lease } from '../store/lease.ts'
import type { Place } from './places/place.ts'
import { assertFileReadsBack } from './read-back.ts'

/*
 * Bytes can rot for years before a reader asks for them. So the archiver reads a hundredth of all files whole each
 * month, every column decoded, chosen at random and spread over its rounds: of the 438,000 files of forty sites and ten
 * years one in ten minutes. What does not read back is read again in each round, for it may have been restored.
 */

export type SampleOptions = {
  lease: Pick<Lease, 'store' | 'reader'>
  place: Place
  log: Logger
  metrics: Metrics
  signal: AbortSignal
}

const monthS = 30 * 24 * 3600
/** Of so many files one is read in a month. */
const oneIn = 100
/** Files of the sample, and failing ones, that one round reads at most. */
const most = { sample: 20, failing: 5 }

/** Files that are read in a month. */
export const monthlySample = (files: number): number => Math.ceil(files / oneIn)

/** How many files are due now, at a pace of a month for {@link monthlySample} of them. */
export function dueNow({ files, checked, sinceS }: SampleState): number {
  const target = monthlySample(files)
  const left = Math.max(0, target - checked)
  // The first of all is read immediately.
  const paced = sinceS === null ? 1 : Math.floor((sinceS * target) / monthS)
  return Math.max(0, Math.min(left, paced, most.sample))
}

/**
 * Reads what is due of the sample, and what failed before, and notes what came of it.
 *
 * @throws what concerns the archive or the database as a whole
 */
export async function checkSample(options: SampleOptions): Promise<void> {
  const { lease, signal } = options
  const due = dueNow(await sampleState(lease.reader))
  const failing = await chooseFailing(lease.reader, most.failing)
  const fresh = due === 0 ? [] : await chooseSample(lease.reader, due)
  const known = new Set(failing.map(({ path }) => path))
  for (const file of [...failing, ...fresh.filter(({ path }) => !known.has(path))]) {
    signal.throwIfAborted()
    await checkOne(file, options)
  }
}

async function checkOne(file: SampledFile, { place, lease, log, metrics }: SampleOptions) {
  const problem = await findProblem(place, file)
  await noteChecked(lease.store, file, problem)
  metrics.archiveChecked.inc({ result: problem === null ? 'good' : 'failing' })
  if (problem !== null) log.error({ path: file.path, problem }, 'a file of the archive is damaged')
}

/** @returns what is wrong with the file. @throws what is wrong with the place */
async function findProblem(place: Place, file: SampledFile): Promise<string | null> {
  try {
    await assertFileReadsBack(place, file, true)
    return null
  } catch (error) {
    if (error instanceof AppError) throw error
    const { message } = error as Error
    return message.startsWith(`${file.path} `) ? message.slice(file.path.length + 1) : message
  }
}
