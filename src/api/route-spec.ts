import type * as z from 'zod'
import type { Scope } from '../platform/auth.ts'
import type { AnswerName } from './answers.ts'

/** One line of the route table: what the OpenAPI document and the page /docs say about a route. */
export type RouteSpec = {
  method: 'get' | 'post'
  /** In the form of OpenAPI: `/v1/jobs/{id}`. */
  path: string
  tag: 'Jobs' | 'Live' | 'Pipeline' | 'Sites' | 'Ingest' | 'This role'
  summary: string
  description?: string
  /** The scope that a token needs; none for open routes. */
  scope?: Scope
  /** What an `{id}` in the path is; a UUID unless it says so. */
  id?: 'number'
  query?: z.ZodObject
  body?: { schema: AnswerName; mediaTypes: readonly string[]; example: string }
  /** The successful answer, by media type. */
  answer: Record<string, AnswerName | 'text'>
  /** Other statuses that it answers with, besides 401 and 403 where there is a scope. */
  problems?: readonly number[]
  /** Query strings to try, with what they are for. */
  examples?: readonly { query: string; about: string }[]
}
