import type { WriteStream } from 'node:tty'

/** One line on a terminal that says how far a command is; elsewhere nothing is written. */
export type StatusLine = { show(text: string): void; clear(): void }

const everyMs = 200

/** @param terminal standard error; shown only when it is a terminal and the result goes elsewhere */
export function openStatusLine(
  terminal: Pick<WriteStream, 'isTTY' | 'write'> = process.stderr,
  resultIsTTY = process.stdout.isTTY,
): StatusLine {
  let shownAt = -Infinity
  let isShown = false
  return {
    show(text) {
      const now = performance.now()
      if (!terminal.isTTY || resultIsTTY || now - shownAt < everyMs) return
      terminal.write(`\r${text}\x1b[K`)
      shownAt = now
      isShown = true
    },
    clear() {
      if (isShown) terminal.write('\r\x1b[K')
      isShown = false
    },
  }
}
