/** One message of a server-sent stream; a comment has `event` set to `comment`. */
export type SseMessage = { id: string; event: string; data: string }

/** Longest line that is kept, in characters: an event is at most 64 KiB. */
const maxLine = 1_048_576

/**
 * Reads server-sent events from bytes, however they are cut. Comments are handed on as well: they
 * are what shows that a quiet stream is alive.
 *
 * @throws RangeError when a line or a message grows beyond a mebibyte of characters
 */
export async function* parseSse(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<SseMessage> {
  const decoder = new TextDecoder()
  let buffer = ''
  let message = { event: '', data: [] as string[] }
  let id = ''
  for await (const chunk of chunks) {
    buffer += decoder.decode(chunk, { stream: true })
    // A lone CR at the end may be half of CRLF: it waits for the next chunk.
    const lines = buffer.split(/\r\n|\n|\r(?!$)/)
    buffer = lines.pop() ?? ''
    if (buffer.length > maxLine) throw new RangeError('a line of the stream is too long')
    for (const line of lines) {
      if (line === '') {
        if (message.data.length > 0) {
          yield { id, event: message.event || 'message', data: message.data.join('\n') }
        }
        message = { event: '', data: [] }
        continue
      }
      const [name, value] = fieldOf(line)
      if (name === '') yield { id, event: 'comment', data: value }
      else if (name === 'data') message.data.push(value)
      else if (name === 'event') message.event = value
      else if (name === 'id') id = value
      if (message.data.length > 10_000) throw new RangeError('a message of the stream is too long')
    }
  }
}

function fieldOf(line: string): [name: string, value: string] {
  const colon = line.indexOf(':')
  if (colon < 0) return [line, '']
  const value = line.slice(colon + 1)
  return [line.slice(0, colon), value.startsWith(' ') ? value.slice(1) : value]
}
