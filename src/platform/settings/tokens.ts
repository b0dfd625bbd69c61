import * as z from 'zod'
import { readable } from './group.ts'
import { list, text } from './kinds.ts'

/** The file of tokens, as a tool needs it that may make the file. */
export const tokensFile = text('File of hashed tokens, created by `wafermon token new`.', {
  place: true,
})

export const tokenSettings = z
  .object({
    TOKENS_FILE: tokensFile.optional(),
    ALLOW_ANONYMOUS: list(
      'Scopes that need no token although TOKENS_FILE is set; `ingest` for clients that cannot send one.',
      ['ingest', 'read'],
      { place: true },
    ),
  })
  .check(readable('TOKENS_FILE', 'create it with: wafermon token new --scope read --file FILE'))
