import {
  type Agent,
  Agent as HttpAgent,
  request as httpRequest,
  type IncomingMessage,
} from 'node:http'
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https'

/** An event that was not taken. Final unless `retryable`. */
export type Verdict = {
  index: number
  field?: string
  detail?: string
  retryable?: boolean
}

/** The outcome of a batch: every event that is not listed in `rejected` has been taken. */
export type Outcome = {
  rejected: Verdict[]
  duplicates: number
  /** Why nothing was taken: the sidecar is out of reach, overloaded, or could not read the batch. */
  why?: string
  /** How long the sidecar wants to be left alone, in milliseconds. */
  afterMs?: number
  /** Too large, or something in it makes the whole unreadable: smaller batches find out what. */
  halve?: boolean
}

export type PostOptions = {
  agent: Agent
  timeoutMs: number
  token?: string | undefined
}

/** An answer lists the events that were refused, each with a reason; ours hold at most 1000. */
const maxAnswer = 2 ** 22
/** Longest wait that a `Retry-After` can ask for. */
const maxAfterMs = 60_000

const isTls = (url: URL) => url.protocol === 'https:'

/** One connection, kept open. */
export function agentFor(url: URL): Agent {
  return new (isTls(url) ? HttpsAgent : HttpAgent)({ keepAlive: true, maxSockets: 1 })
}

/**
 * Sends serialized events as one batch. Never rejects.
 *
 * Built on `node:http` and not on `fetch`, which takes some 30 ms of a program's time to load. The
 * socket never keeps the program alive: a caller that waits for the outcome holds a timer.
 */
export async function postBatch(
  url: URL,
  bodies: readonly string[],
  options: PostOptions,
): Promise<Outcome> {
  const count = bodies.length
  try {
    const { status, retryAfter, text } = await exchange(url, `[${bodies.join(',')}]`, options)
    if (status === 200) return readVerdicts(text, count)
    const unreadable = [400, 413, 422].includes(status)
    if (unreadable && count === 1) return none(count, `HTTP ${status}`, false)
    // Also 401, 403, 404 and redirects: the address is wrong or not ready yet, the events are not.
    const afterMs = Math.min(maxAfterMs, Number(retryAfter) * 1000 || 0)
    return { ...none(count, `HTTP ${status}`, true), afterMs, halve: unreadable }
  } catch (error) {
    return none(count, String(error), true)
  }
}

/** Nothing was taken. */
function none(count: number, why: string, retryable: boolean): Outcome {
  const rejected = Array.from({ length: count }, (_, index) => ({ index, detail: why, retryable }))
  return { rejected, duplicates: 0, why }
}

type Answer = { status: number; retryAfter: string | undefined; text: string }

function exchange(url: URL, body: string, options: PostOptions): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const send = isTls(url) ? httpsRequest : httpRequest
    const headers = {
      'content-type': 'application/json',
      ...(options.token && { authorization: `Bearer ${options.token}` }),
    }
    const request = send(url, { method: 'POST', headers, agent: options.agent })
    // For the whole exchange: an answer that trickles in is as bad as none.
    const timer = setTimeout(
      () => request.destroy(new Error('no answer in time')),
      options.timeoutMs,
    ).unref()
    const fail = (error: Error) => {
      clearTimeout(timer)
      reject(error)
    }
    request.on('socket', (socket) => socket.unref())
    request.on('error', fail)
    request.on('response', (response) => {
      readAnswer(response).then((text) => {
        clearTimeout(timer)
        const retryAfter = response.headers['retry-after']
        resolve({ status: response.statusCode ?? 0, retryAfter, text })
      }, fail)
    })
    request.end(body)
  })
}

async function readAnswer(response: IncomingMessage): Promise<string> {
  let text = ''
  for await (const chunk of response.setEncoding('utf8')) {
    text += chunk
    if (text.length > maxAnswer) throw new Error('answer too long')
  }
  return text
}

/**
 * A response that does not account for every event, each once, is not from a sidecar, whatever its
 * status. Nothing in it is believed to be of the type that it should be.
 */
function readVerdicts(text: string, sent: number): Outcome {
  const { total, duplicates, rejected = [] } = JSON.parse(text) as Answered
  const verdicts = rejected.map(toVerdict)
  const indexes = new Set(verdicts.map(({ index }) => index))
  const isOurs = (index: number) => Number.isInteger(index) && index >= 0 && index < sent
  if (total !== sent || indexes.size < verdicts.length || ![...indexes].every(isOurs)) {
    throw new Error('answer does not match')
  }
  return { duplicates: Number.isInteger(duplicates) ? Number(duplicates) : 0, rejected: verdicts }
}

const toVerdict = ({ index, field, detail, retryable }: Answered['rejected'][number]): Verdict => ({
  index: Number.isInteger(index) ? Number(index) : -1,
  ...(typeof field === 'string' && { field }),
  ...(typeof detail === 'string' && { detail }),
  retryable: retryable === true,
})

type Answered = {
  total?: unknown
  duplicates?: unknown
  rejected: { [Key in keyof Verdict]?: unknown }[]
}
