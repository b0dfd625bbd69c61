import { appendFileSync } from 'node:fs'
import { createLog } from '../../platform/log.ts'

/**
 * The log of `up` itself. The terminal shows warnings and errors, one line each; everything goes to
 * a file once `keepIn` has named it.
 */
export function upLog() {
  let file: string | undefined
  const write = (line: string) => {
    if (file !== undefined) tryAppend(file, line)
    const { level, event, timestamp, service, ...fields } = JSON.parse(line)
    if (level === 'info' || level === 'debug') return
    const shown = Object.entries(fields).map(([name, value]) => `${name} ${JSON.stringify(value)}`)
    process.stderr.write(`wafermon: ${[event, ...shown].join(', ')}\n`)
  }
  const log = createLog({ service: 'up', level: 'info', json: true, destination: { write } })
  const keepIn = (path: string) => {
    file = path
  }
  return { log, keepIn }
}

/** On a full disk the roles must still be supervised. */
function tryAppend(file: string, line: string): void {
  try {
    appendFileSync(file, line)
  } catch {
    // The terminal has what matters.
  }
}
