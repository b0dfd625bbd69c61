import { once } from 'node:events'

let guarded = false

/** Writes to standard output, and waits for a slower reader. When the reader closes it, we end. */
export async function print(text: string): Promise<void> {
  if (!guarded) process.stdout.on('error', endOnClosedPipe)
  guarded = true
  if (!process.stdout.write(text)) await once(process.stdout, 'drain')
}

/** The same, and a line end. */
export const printLine = (text: string): Promise<void> => print(`${text}\n`)

/** `wafermon spool rejects export | head` does not fail; a full disk does, in words. */
function endOnClosedPipe(error: NodeJS.ErrnoException): void {
  if (error.code === 'EPIPE') process.exit()
  process.stderr.write(`cannot write to standard output: ${error.message}\n`)
  process.exit(1)
}
