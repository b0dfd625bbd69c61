import type { HttpAnswer, HttpClient, HttpHead, HttpStream } from '../platform/http-client.ts'
import { rethrow, tokenRefused } from './api-client.ts'

export type RawQuestion = {
  method: 'GET' | 'HEAD'
  path: string
  query: URLSearchParams
  headers: Headers
}

export type Passed = {
  status: number
  headers: Record<string, string>
  /** JSON comes whole, everything else as it arrives, and the answer to HEAD has none. */
  body: Uint8Array | ReadableStream<Uint8Array> | null
}

const sentOn = ['accept', 'last-event-id']
const sentBack = [
  'content-type',
  'content-disposition',
  'retry-after',
  'vary',
  'wafermon-completeness',
  'x-accel-buffering',
]

/**
 * Puts a question to one site unchanged, and hands its answer back unchanged: a field that only a
 * newer site knows is not lost, and an export or a stream is not held in memory.
 *
 * @throws AppError unreachable when the site does not answer in time, or not as a local API does
 */
export async function passQuestion(
  client: HttpClient,
  site: string,
  question: RawQuestion,
  signal: AbortSignal,
): Promise<Passed> {
  const { method, path, query } = question
  const request = {
    method,
    path: query.size > 0 ? `${path}?${query}` : path,
    headers: headersOn(question.headers),
  }
  const streams = (head: HttpHead) => method === 'GET' && !isJson(head)
  const answer = await client.open(request, signal, streams).catch(rethrow(client))
  const { status } = answer
  if (status === 401 || status === 403) {
    if ('stream' in answer) await answer.stream.cancel()
    throw tokenRefused(client, status)
  }
  return {
    status,
    headers: headersBack(answer, site),
    body: method === 'HEAD' ? null : bodyOf(answer),
  }
}

const isJson = ({ headers }: HttpHead) =>
  /^application\/(problem\+)?json/.test(headers['content-type'] ?? '')

const bodyOf = (answer: HttpAnswer | HttpStream) =>
  'stream' in answer ? answer.stream : answer.body

function headersOn(given: Headers): Record<string, string> {
  const headers: Record<string, string> = {}
  for (const name of sentOn) {
    const value = given.get(name)
    if (value !== null) headers[name] = value
  }
  return headers
}

function headersBack({ headers: given }: HttpHead, site: string): Record<string, string> {
  const headers: Record<string, string> = {}
  for (const name of sentBack) {
    const value = given[name]
    if (value !== undefined) headers[name] = value
  }
  // The next page is asked of us, and we must know of which site.
  if (given.link !== undefined) headers.link = given.link.replace(/\?([^>]*)>/, `?site=${site}&$1>`)
  return headers
}
