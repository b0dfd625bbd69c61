import type { Context } from 'hono'

export type StreamBodyOptions = {
  /** Maximum time the reader may take for a piece, in milliseconds; unlimited unless given. */
  stallMs?: number
  /** Maximum time for all of it, in milliseconds; unlimited unless given. */
  longestMs?: number
  /** Called when the reader was disconnected because it was too slow. */
  onStall?: () => void
  /** Called when making a piece failed. */
  onError?: (error: unknown) => void
}

/**
 * A body made from pieces, no faster than the reader takes them: at most one piece is held. When a
 * piece cannot be made, or the reader stalls, the connection is broken off instead of ended, so that
 * a partial answer is not mistaken for a complete one.
 */
export function streamBody(
  c: Context,
  pieces: AsyncGenerator<string | Uint8Array>,
  { stallMs, longestMs, onStall, onError }: StreamBodyOptions = {},
): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder()
  let timer: NodeJS.Timeout | undefined
  let whole: NodeJS.Timeout | undefined
  const stop = () => {
    clearTimeout(timer)
    clearTimeout(whole)
    void pieces.return(undefined).catch(() => {})
  }
  return new ReadableStream(
    {
      start(controller) {
        if (longestMs === undefined) return
        whole = setTimeout(() => {
          stop()
          breakOff(c, controller, new Error('the reader is too slow'))
        }, longestMs)
      },
      async pull(controller) {
        clearTimeout(timer)
        try {
          const { done, value } = await pieces.next()
          if (done) {
            clearTimeout(whole)
            return controller.close()
          }
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
 * Destroys the socket, if there is one: if only the stream failed, the HTTP server would write the
 * error into the body and end it properly.
 */
function breakOff(c: Context, controller: ReadableStreamDefaultController, error: unknown): void {
  const { outgoing } = (c.env ?? {}) as { outgoing?: { destroy(): void } }
  if (outgoing) outgoing.destroy()
  else controller.error(error)
}
