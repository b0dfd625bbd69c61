import { once } from 'node:events'

let guarded = false

/** Writes to standard output, and waits when the reader is slower. A reader that has enough ends us. */
export async function print(text: string): Promise<void> {
  if (!guarded) process.stdout.on('error', endOnClosedPipe)
  guarded = true
  if (!process.stdout.write(text)) await once(process.stdout, 'drain')
}

/** The same, followed by a line end. */
export const printLine = (text: string): Promise<void> => print(`${text}\n`)

/** `wafermon spool rejects export | head` is not a failure. */
function endOnClosedPipe(error: NodeJS.ErrnoException): void {
  if (error.code !== 'EPIPE') throw error
  process.exit()
}
