import type { Context } from 'hono'
import { AppError } from '../core/errors.ts'
import { isUuid } from '../core/uuid.ts'
import { shortened, uuidMessage } from './query-params.ts'

/** A kind of `{id}` in a path: how it is documented and how it is read. */
export type PathId<T = unknown> = {
  description: string
  schema: Record<string, unknown>
  /** @throws AppError invalid when it is not of this kind */
  read(c: Context): T
}

export const uuidId: PathId<string> = {
  description: `It ${uuidMessage}.`,
  schema: { type: 'string', format: 'uuid' },
  read(c) {
    const id = c.req.param('id') ?? ''
    if (isUuid(id)) return id.toLowerCase()
    throw invalid(uuidMessage, id)
  },
}

export const numberId: PathId<number> = {
  description: 'Id of the reject, as in the list.',
  schema: { type: 'integer', minimum: 1 },
  read(c) {
    const id = c.req.param('id') ?? ''
    const number = Number(id)
    if (/^\d+$/.test(id) && number >= 1 && number <= Number.MAX_SAFE_INTEGER) return number
    throw invalid('must be a whole number, 1 or greater', id)
  },
}

/** Below 1 are events that were carried over from a damaged spool. */
export const spoolSeq: PathId<number> = {
  description: 'Number of the event in the spool, as in the list.',
  schema: { type: 'integer' },
  read(c) {
    const id = c.req.param('id') ?? ''
    if (/^-?\d{1,16}$/.test(id) && Number.isSafeInteger(Number(id))) return Number(id)
    throw invalid('must be a whole number', id)
  },
}

export const sourceId = textId('Id of the source, as in the list.')
export const sinkId = textId('Name of the sink, as in the health of the sidecar.')

function textId(description: string): PathId<string> {
  return {
    description,
    schema: { type: 'string', minLength: 1, maxLength: 128 },
    read(c) {
      const id = c.req.param('id') ?? ''
      if (id !== '' && id.length <= 128 && !id.includes('\0')) return id
      throw invalid('must be 1 to 128 characters', id)
    },
  }
}

const invalid = (message: string, id: string) =>
  new AppError('invalid', `id: ${message}; got ${shortened(id)}`, { field: 'id' })
