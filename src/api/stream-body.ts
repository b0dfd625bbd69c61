import type { Context } from 'hono'

export type StreamBodyOptions = {
  /** Longest time the reader may take for what it was last sent, in milliseconds; none unless given. */
  stallMs?: number
  /** Called when the reader was cut off because it was too slow. */
  onStall?: () => void
  /** Called when making the text failed. */
  onError?: (error: unknown) => void
}

/**
 * A body made from pieces as fast as the reader takes them, and no faster: at most one piece
 * is held. When a piece cannot be made, or the reader stalls, the connection is broken off instead
 * of being ended, so that the half answer is not taken for a whole one.
 */
export function streamBody(
  c: Context,
  pieces: AsyncGenerator<string | Uint8Array>,
  { stallMs, onStall, onError }: StreamBodyOptions = {},
): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder()
  let timer: NodeJS.Timeout | undefined
  const stop = () => {
    clearTimeout(timer)
    void pieces.return(undefined).catch(() => {})
  }
  return new ReadableStream(
    {
      async pull(controller) {
        clearTimeout(timer)
        try {
          const { done, value } = await pieces.next()
          if (done) return controller.close()
          controller.enqueue(typeof value === 'string' ? encoder.encode(value) : value)
          if (stallMs !== undefined) {
            timer = setTimeout(() => {
              onStall?.()
              stop()
              breakOff(c, controller, new Error('the reader is too slow'))
            }, stallMs)
          }
        } catch (error) {
          if (!c.req.raw.signal.aborted) onError?.(error)
          breakOff(c, controller, error)
        }
      },
      cancel: stop,
    },
    { highWaterMark: 0 },
  )
}

/**
 * Over a socket the socket itself is destroyed: were the stream only failed, the HTTP server would
 * write the error into the body and end it properly.
 */
function breakOff(c: Context, controller: ReadableStreamDefaultController, error: unknown): void {
  const { outgoing } = (c.env ?? {}) as { outgoing?: { destroy(): void } }
  if (outgoing) outgoing.destroy()
  else controller.error(error)
}
