/** A response, read to its end. */
export type Answer = { status: number; retryAfter: string | null; text: string }

export type Request = {
  url: string
  headers: Record<string, string>
  body: Uint8Array<ArrayBuffer>
  signal: AbortSignal
}

/** Maximum size of a response; a batch of 10,000 refusals fits. */
const maxAnswerBytes = 8 * 2 ** 20

/**
 * Posts a body and reads the whole response. Redirects are not followed: events and token would go
 * elsewhere.
 *
 * @throws what fetch throws; an Error when the answer is too long
 */
export async function post({ url, ...request }: Request): Promise<Answer> {
  const response = await fetch(url, { method: 'POST', redirect: 'error', ...request })
  const text = await readText(response)
  return { status: response.status, retryAfter: response.headers.get('retry-after'), text }
}

async function readText(response: Response): Promise<string> {
  const chunks: Uint8Array[] = []
  let size = 0
  for await (const chunk of response.body ?? []) {
    size += chunk.byteLength
    if (size > maxAnswerBytes) throw new Error('the answer is too long')
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}

/** Why there is no response, as the reason of a failure. */
export function explainNoAnswer(error: Error): string {
  if (error.name === 'TimeoutError') return 'it did not answer in time'
  const cause = error.cause as { code?: string } | undefined
  return `it cannot be reached (${cause?.code ?? error.message})`
}
