import { ageText, grouped } from '../table.ts'

/** The part of a stream that a bar needs; usually standard error. */
export type Screen = { isTTY?: boolean; columns?: number; write(text: string): unknown }

/** Time between two drawings, in milliseconds; off a terminal each one adds a line. */
const everyMs = { terminal: 100, elsewhere: 5000 }
const widest = 30

/**
 * On a terminal a bar that is redrawn in its line, elsewhere a line every few seconds.
 *
 * @param total events; undefined where only the share of the file that was read is known
 */
export function progressBar(
  total: number | undefined,
  from: number,
  screen: Screen = process.stderr,
) {
  const startedAt = performance.now()
  let shownAt = -Infinity
  const put = (sent: number, share?: number) => {
    const ms = performance.now() - startedAt
    const text = progressLine({ sent, total, share, from, ms }, screen)
    // The rest of the line is erased: the one before may have been longer.
    screen.write(screen.isTTY ? `\r${text}\x1b[K` : `${text}\n`)
  }
  return {
    show: (sent: number, share?: number) => {
      const now = performance.now()
      if (now - shownAt < (screen.isTTY ? everyMs.terminal : everyMs.elsewhere)) return
      shownAt = now
      put(sent, share)
    },
    /** Makes room for a line of other text. */
    clear: () => {
      if (screen.isTTY) screen.write('\r\x1b[K')
      shownAt = -Infinity
    },
    end: (sent: number, share?: number) => {
      put(sent, share)
      if (screen.isTTY) screen.write('\n')
    },
  }
}

type State = {
  sent: number
  total: number | undefined
  /** Of the work that is done, where the total is not known. */
  share?: number | undefined
  from: number
  ms: number
}

/** No wider than the screen: a line that wraps cannot be drawn over. */
export function progressLine(state: State, { columns = 80 }: Screen): string {
  const { sent, total, from, ms } = state
  const rate = (sent - from) / Math.max(ms / 1000, 0.001)
  const share = total === undefined ? state.share : total === 0 ? 1 : sent / total
  const left = total === undefined ? leftByShare(share, ms) : (total - sent) / rate
  const parts = [
    ...(share === undefined ? [] : [`${(share * 100).toFixed(1)} %`]),
    `${grouped(sent)}${total === undefined ? '' : ` of ${grouped(total)}`} events`,
    `${grouped(Math.round(rate))}/s`,
    ...(rate > 0 && left !== undefined ? [`${ageText(left)} left`] : []),
  ]
  const text = parts.join('  ')
  if (share === undefined) return text.slice(0, columns - 1)
  const width = Math.min(widest, columns - text.length - 5)
  if (width < 5) return text.slice(0, columns - 1)
  return `[${'#'.repeat(Math.round(share * width)).padEnd(width, '.')}]  ${text}`
}

/** Seconds that the rest takes, where nothing but the share of it is known. */
const leftByShare = (share: number | undefined, ms: number): number | undefined =>
  share ? ((ms / 1000) * (1 - share)) / share : undefined
