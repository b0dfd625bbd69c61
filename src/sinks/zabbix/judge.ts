import { PeerError } from './exchange.ts'

/*
 * What an answer stands for. Zabbix says how many values of a packet it processed and how many failed, and never
 * which. It stops reading at the first value that it cannot parse, without counting that as failed: so an answer
 * is believed only when its total is what was sent.
 */

export type Counts = { processed: number; failed: number }

const counts = /^processed: (\d{1,9}); failed: (\d{1,9}); total: (\d{1,9});/

/**
 * @param sent values in the packet
 * @throws PeerError when the answer is not about that many values
 */
export function readCounts(text: string, sent: number): Counts {
  const { response, info } = parse(text)
  if (response === undefined) throw new PeerError('answered JSON that is not an answer of Zabbix')
  if (response !== 'success') throw new PeerError(`answered ${quote(response)}: ${quote(info)}`)
  const [, ...numbers] = counts.exec(typeof info === 'string' ? info : '') ?? []
  const [processed = -1, failed = -1, total = -1] = numbers.map(Number)
  if (numbers.length === 0) throw new PeerError(`answered without counts: ${quote(info)}`)
  if (total !== sent || processed + failed !== total) {
    throw new PeerError(
      `answered about ${processed} + ${failed} of ${total} values, but ${sent} were sent`,
    )
  }
  return { processed, failed }
}

function parse(text: string): { response?: unknown; info?: unknown } {
  try {
    return Object(JSON.parse(text))
  } catch {
    throw new PeerError('answered with something that is not JSON')
  }
}

const quote = (value: unknown) =>
  String(typeof value === 'string' ? value : value === undefined ? 'no reason' : typeof value)
    .slice(0, 200)
    .replaceAll(/[\s\p{Cc}\ufffd]+/gu, ' ')
    .toWellFormed()
