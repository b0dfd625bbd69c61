import { createReadStream } from 'node:fs'
import { createInterface } from 'node:readline'
import * as z from 'zod'
import { ConfigError } from '../../core/errors.ts'
import { parseText } from '../../core/json.ts'

const ms = z.number().int().nonnegative().nullish()

/** A recorded job or subjob, one line of NDJSON. Times are ms since 1970. */
const recordSchema = z.object({
  trace: z.string().min(1),
  job_id: z.string().min(1),
  parent_id: z.string().nullish(),
  name: z.string(),
  app: z.string().min(1),
  user: z.string().nullish(),
  tool: z.string().nullish(),
  submit_ts: ms,
  start_ts: ms,
  end_ts: ms,
  status: z.string(),
  exit_code: z.union([z.number(), z.string()]).nullish(),
  message: z.string().nullish(),
  cpu_s: z.number().nullish(),
  mem_bytes: z.number().nullish(),
  attrs: z.record(z.string(), z.unknown()).nullish(),
})
export type TraceRecord = z.infer<typeof recordSchema>

/** What these say of a job has not begun. */
export const waiting: ReadonlySet<string> = new Set(['waiting', 'queued', 'pending'])

/** Whether it ended, however that went. */
export const hasEnded = ({ status }: TraceRecord) => status !== 'running' && !waiting.has(status)

export type BadLine = { line: number; why: string }

/**
 * Reads a file of records into memory, about a kilobyte each. A line that cannot be read is reported
 * and left out.
 *
 * @throws ConfigError when the file cannot be read
 */
export async function readRecords(
  file: string,
  onBad: (bad: BadLine) => void,
): Promise<TraceRecord[]> {
  const records: TraceRecord[] = []
  let line = 0
  for await (const text of linesOf(file)) {
    line++
    if (text.trim() === '') continue
    const record = parse(text)
    if (typeof record === 'string') onBad({ line, why: record })
    else records.push(record)
  }
  return records
}

async function* linesOf(file: string): AsyncGenerator<string> {
  try {
    yield* createInterface({ input: createReadStream(file), crlfDelay: Infinity })
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    throw new ConfigError(`cannot read ${file} (${code}); give a file of records`)
  }
}

function parse(text: string): TraceRecord | string {
  let json: unknown
  try {
    json = parseText(text)
  } catch {
    return 'is not JSON'
  }
  const read = recordSchema.safeParse(json)
  if (read.success) return findContradiction(read.data) ?? read.data
  const { path, message } = read.error.issues[0]!
  return `${path.join('.') || 'the line'}: ${message}`
}

/** A job that began and says it ended, without a time of its end, would run for ever. */
function findContradiction(record: TraceRecord): string | undefined {
  if (record.start_ts == null || record.end_ts != null || !hasEnded(record)) return
  return `end_ts: is missing, although the status is ${JSON.stringify(record.status.slice(0, 40))}`
}
