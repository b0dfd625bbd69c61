import { LineWriter, openLog, openStandard } from '../../platform/line-writer.ts'
import { createLog } from '../../platform/log.ts'

/**
 * The log of `up` itself, and what it says to the terminal. The terminal shows warnings and errors, one
 * line each; everything goes to a file once `keepIn` has named it. Neither can hold up or end the
 * supervision of the roles.
 */
export function upLog() {
  const terminal = new LineWriter(openStandard(2))
  let path: string | undefined
  let file: LineWriter | undefined
  const write = (line: string) => {
    if (path !== undefined) file ??= tryOpen(path)
    file?.write(line)
    const { level, event, timestamp, service, ...fields } = JSON.parse(line)
    if (level === 'info' || level === 'debug') return
    const shown = Object.entries(fields).map(([name, value]) => `${name} ${JSON.stringify(value)}`)
    terminal.write(`wafermon: ${[event, ...shown].join(', ')}\n`)
  }
  const log = createLog({ service: 'up', level: 'info', json: true, destination: { write } })
  const tryOpen = (path: string) => {
    try {
      const opened = new LineWriter(openLog(path))
      opened.onGap((lines) => log.warn({ lines }, 'lines of up.log were dropped'))
      return opened
    } catch {
      // Tried again with the next line; the terminal has what matters.
      return undefined
    }
  }
  const keepIn = (named: string) => {
    path = named
  }
  return { log, keepIn, say: (text: string) => terminal.write(text) }
}
