import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { formatSse, formatSseComment, parseSse, type SseMessage } from '../../src/platform/sse.ts'

/** The messages of a text that arrives in pieces of `size` bytes. */
async function read(text: string, size = 1000): Promise<SseMessage[]> {
  const bytes = Buffer.from(text)
  async function* pieces() {
    for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size)
  }
  const messages: SseMessage[] = []
  for await (const message of parseSse(pieces())) messages.push(message)
  return messages
}

describe('server-sent events', () => {
  test('are read back as they were written, however they are cut', async () => {
    const word = fc
      .stringMatching(/^[^\r\n\0\ud800-\udfff]{1,20}$/)
      .filter((text) => text !== 'comment')
    const data = fc.string({ unit: 'grapheme', maxLength: 60 })
    const message = fc.record({ id: word, event: word, data })
    await fc.assert(
      fc.asyncProperty(
        fc.array(message, { maxLength: 5 }),
        fc.integer({ min: 1, max: 30 }),
        async (all, size) => {
          const messages = await read(all.map((one) => formatSse(one)).join(''), size)
          const expected = all.map((one) => ({ ...one, data: one.data.replaceAll(/\r\n?/g, '\n') }))
          assert.deepEqual(messages, expected)
        },
      ),
    )
  })

  test('keep the lines of their data', () => {
    assert.equal(formatSse({ data: 'a\r\n\rb' }), 'data: a\ndata: \ndata: b\n\n')
    assert.equal(formatSse({ data: '' }), 'data: \n\n')
  })

  test('cannot be forged by an id or an event with line breaks', async () => {
    const text = formatSse({ id: '1\n\ndata: x', event: 'a\rdata: x', data: 'own' })
    assert.deepEqual(await read(text), [{ id: '1data: x', event: 'adata: x', data: 'own' }])
  })

  test('have comments, which may move the position', async () => {
    const text =
      formatSseComment('hi') + formatSseComment('alive\nagain', '7') + formatSse({ data: 'x' })
    assert.deepEqual(await read(text, 3), [
      { id: '', event: 'comment', data: 'hi' },
      { id: '7', event: 'comment', data: 'aliveagain' },
      { id: '7', event: 'message', data: 'x' },
    ])
  })

  test('are refused when a line never ends, or a message', async () => {
    await assert.rejects(read('x'.repeat(1_100_000)), /a line of the stream is too long/)
    const message = `data: ${'x'.repeat(60_000)}\n`.repeat(20)
    await assert.rejects(read(message), /a message of the stream is too long/)
  })
})
