/*
 * Server-sent events, read and written.
 *
 * Every message can be read back as it was, by our reader and by a browser's: line breaks in `data`
 * are kept, and an id or an event never holds one. A comment is part of the contract: it shows that a
 * quiet stream is alive, so the reader hands it on.
 */

/** One message; a comment has `event` set to `comment`. */
export type SseMessage = { id: string; event: string; data: string }

/** Maximum length of a line and of the data of a message, in characters: an event is at most 64 KiB. */
const maxChars = 1_048_576

type Formatted = { id?: string | undefined; event?: string | undefined; data: string }

/** A message as text. Without `event` a reader takes it for `message`; without `id` its id stays. */
export function formatSse({ id, event, data }: Formatted): string {
  const head = `${field('id', id)}${field('event', event)}`
  if (!/[\r\n]/.test(data)) return `${head}data: ${data}\n\n`
  const lines = data.split(/\r\n|\r|\n/).map((line) => `data: ${line}\n`)
  return `${head}${lines.join('')}\n`
}

/** A comment as text; an id moves the reader's position. */
export function formatSseComment(text: string, id?: string): string {
  return `${field('id', id)}: ${oneLine(text)}\n\n`
}

const oneLine = (text: string) => text.replaceAll(/[\r\n\0]/g, '')
const field = (name: string, value: string | undefined) =>
  value === undefined ? '' : `${name}: ${oneLine(value)}\n`

/**
 * Reads messages and comments from bytes, however they are cut. `id` is that of the last message that
 * had one.
 *
 * @throws RangeError when a line or a message is longer than a mebibyte of characters
 */
export async function* parseSse(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<SseMessage> {
  const decoder = new TextDecoder()
  let buffer = ''
  let message = { event: '', data: [] as string[], chars: 0 }
  let id = ''
  for await (const chunk of chunks) {
    buffer += decoder.decode(chunk, { stream: true })
    // A lone CR at the end may be half of CRLF: it waits for the next chunk.
    const lines = buffer.split(/\r\n|\n|\r(?!$)/)
    buffer = lines.pop() ?? ''
    if (buffer.length > maxChars) throw new RangeError('a line of the stream is too long')
    for (const line of lines) {
      if (line === '') {
        if (message.data.length > 0) {
          yield { id, event: message.event || 'message', data: message.data.join('\n') }
        }
        message = { event: '', data: [], chars: 0 }
        continue
      }
      const [name, value] = readField(line)
      if (name === '') yield { id, event: 'comment', data: value }
      else if (name === 'data') message.data.push(value)
      else if (name === 'event') message.event = value
      else if (name === 'id') id = value
      message.chars += line.length
      if (message.chars > maxChars) throw new RangeError('a message of the stream is too long')
    }
  }
}

function readField(line: string): [name: string, value: string] {
  const colon = line.indexOf(':')
  if (colon < 0) return [line, '']
  const value = line.slice(colon + 1)
  return [line.slice(0, colon), value.startsWith(' ') ? value.slice(1) : value]
}
