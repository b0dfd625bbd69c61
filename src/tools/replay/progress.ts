import { ageText, grouped } from '../table.ts'

/** The part of a stream that a bar needs; usually standard error. */
export type Screen = { isTTY?: boolean; columns?: number; write(text: string): unknown }

/** Time between two drawings, in milliseconds; off a terminal each one adds a line. */
const everyMs = { terminal: 100, elsewhere: 5000 }
const widest = 30

/** On a terminal a bar that is redrawn in its line, elsewhere a line every few seconds. */
export function progressBar(total: number, from: number, screen: Screen = process.stderr) {
  const startedAt = performance.now()
  let shownAt = -Infinity
  const put = (sent: number) => {
    const text = progressLine({ sent, total, from, ms: performance.now() - startedAt }, screen)
    // The rest of the line is erased: the one before may have been longer.
    screen.write(screen.isTTY ? `\r${text}\x1b[K` : `${text}\n`)
  }
  return {
    show: (sent: number) => {
      const now = performance.now()
      if (now - shownAt < (screen.isTTY ? everyMs.terminal : everyMs.elsewhere)) return
      shownAt = now
      put(sent)
    },
    /** Makes room for a line of other text. */
    clear: () => {
      if (screen.isTTY) screen.write('\r\x1b[K')
      shownAt = -Infinity
    },
    end: (sent: number) => {
      put(sent)
      if (screen.isTTY) screen.write('\n')
    },
  }
}

type State = { sent: number; total: number; from: number; ms: number }

/** No wider than the screen: a line that wraps cannot be drawn over. */
export function progressLine({ sent, total, from, ms }: State, { columns = 80 }: Screen): string {
  const rate = (sent - from) / Math.max(ms / 1000, 0.001)
  const share = total === 0 ? 1 : sent / total
  const parts = [
    `${(share * 100).toFixed(1)} %`,
    `${grouped(sent)} of ${grouped(total)} events`,
    `${grouped(Math.round(rate))}/s`,
    ...(rate > 0 ? [`${ageText((total - sent) / rate)} left`] : []),
  ]
  const text = parts.join('  ')
  const width = Math.min(widest, columns - text.length - 5)
  if (width < 5) return text.slice(0, columns - 1)
  return `[${'#'.repeat(Math.round(share * width)).padEnd(width, '.')}]  ${text}`
}
