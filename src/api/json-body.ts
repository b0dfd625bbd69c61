import type { IncomingMessage } from 'node:http'
import type { Context } from 'hono'
import * as z from 'zod'
import { AppError } from '../core/errors.ts'
import { checkTree, parseJson } from '../core/json.ts'
import { must } from '../core/must.ts'
import { nameCaller, readCaller } from '../platform/auth.ts'
import { Intake } from '../platform/body.ts'
import { checkJsonType } from '../platform/callers.ts'

/* The bodies of what a person has the API do: a flat object of a few lines. */

const maxBytes = 16 * 1024

export const smallIntake = (readTimeoutMs: number): Intake =>
  new Intake({ maxBytes, maxDecompressedBytes: maxBytes, readTimeoutMs })

/** Text of 1 to `max` characters, without white space around it. */
export function textTo(max: number, description: string) {
  const message = `must be text of 1 to ${max} characters`
  return z.string(message).trim().min(1, message).max(max, message).describe(description)
}

/** @throws AppError invalid, naming the field; and what an intake throws */
export async function readJsonBody<T extends z.ZodType>(
  c: Context,
  intake: Intake,
  schema: T,
): Promise<z.infer<T>> {
  checkJsonType(c.req.header('content-type'))
  const { text, done: release } = await intake.read(incoming(c), readCaller(c))
  try {
    const input = parseJson(text)
    const fault = checkTree(input, 2)
    if (fault) throw invalid(fault.field, fault.detail)
    const read = schema.safeParse(input)
    if (read.success) return read.data
    const [issue] = read.error.issues
    throw invalid(issue?.path.join('.') ?? '', issue?.message ?? '')
  } finally {
    release()
  }
}

/** Who does it, for the audit: the token, and who the caller says it is. */
export function nameActor(c: Context, by: string | undefined): string {
  const name = nameCaller(readCaller(c))
  return by === undefined ? name : `${name}, ${by}`
}

/** The address that a request comes from, as the socket has it. */
export const addressOf = (c: Context): string | null => incoming(c).socket.remoteAddress ?? null

const incoming = ({ env }: Context): IncomingMessage =>
  must((env as { incoming?: IncomingMessage }).incoming, 'the app is served by node:http')

const invalid = (field: string, detail: string) =>
  new AppError('invalid', `${field} ${detail}`.trim(), { field })
