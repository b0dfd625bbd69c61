import { appendFileSync, closeSync, openSync } from 'node:fs'
import { ConfigError } from '../../core/errors.ts'
import { print } from '../../platform/stdout.ts'
import { recordJobs } from './records.ts'

export type RecordOptions = {
  /** Standard output unless given. */
  file: string | undefined
  seed: number
  jobsPerMinute: number
  durationS: number
  /** When the books are closed, in ms since 1970. */
  endMs: number
}

/** Records per write. */
const chunkSize = 1000

/** Writes the jobs of the fab as records, one job or subjob per line. @throws ConfigError */
export async function writeRecords(options: RecordOptions): Promise<void> {
  const { file, durationS, endMs, ...fab } = options
  const plan = { ...fab, startMs: endMs - durationS * 1000 }
  const out = file === undefined ? undefined : attempt(file, () => openSync(file, 'w'))
  const write = async (text: string) => {
    if (out === undefined) return print(text)
    attempt(file, () => appendFileSync(out, text))
  }
  let lines = ''
  let n = 0
  for (const record of recordJobs(plan, durationS * 1000)) {
    lines += `${JSON.stringify(record)}\n`
    if (++n % chunkSize !== 0) continue
    await write(lines)
    lines = ''
  }
  await write(lines)
  if (out === undefined) return
  closeSync(out)
  process.stderr.write(`${n.toLocaleString('en')} records in ${file}\n`)
}

function attempt<T>(file: string | undefined, act: () => T): T {
  try {
    return act()
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    throw new ConfigError(`--records: cannot write ${file} (${code}); choose another file`)
  }
}
