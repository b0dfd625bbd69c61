import * as z from 'zod'
import { atMost } from '../platform/settings/group.ts'
import { number, wholeNumber } from '../platform/settings/kinds.ts'

/** Limits on what a caller may send to a role that takes events. */
export const ingestSettings = z
  .object({
    MAX_BODY_BYTES: wholeNumber('Maximum size of a request body as sent.', {
      ...{ min: 1024, max: 2 ** 30, standard: 8 * 2 ** 20, unit: 'bytes' },
    }),
    MAX_DECOMPRESSED_BYTES: wholeNumber('Maximum size of a request body after decompression.', {
      ...{ min: 1024, max: 2 ** 30, standard: 32 * 2 ** 20, unit: 'bytes' },
    }),
    MAX_BATCH_ITEMS: wholeNumber('Maximum events per request.', {
      ...{ min: 1, max: 1_000_000, standard: 10_000, unit: 'events' },
    }),
    MAX_EVENT_BYTES: wholeNumber('Maximum size of an event, as JSON.', {
      ...{ min: 1024, max: 2 ** 20, standard: 65_536, unit: 'bytes' },
    }),
    REQUEST_READ_TIMEOUT_S: number(
      'Maximum time to receive the headers of a request, and again for its body.',
      { min: 1, max: 3600, standard: 30, unit: 's' },
    ),
    MAX_SKEW_S: number('Event times further in the future than this are corrected.', {
      ...{ min: 0, max: 86_400, standard: 600, unit: 's' },
    }),
  })
  .check(atMost('MAX_EVENT_BYTES', 'MAX_BODY_BYTES'))

/** The settings as the ingest routes take them. */
export const toIngestLimits = (config: z.infer<typeof ingestSettings>) => ({
  maxBytes: config.MAX_BODY_BYTES,
  maxDecompressedBytes: config.MAX_DECOMPRESSED_BYTES,
  readTimeoutMs: config.REQUEST_READ_TIMEOUT_S * 1000,
  maxBatchItems: config.MAX_BATCH_ITEMS,
  maxEventBytes: config.MAX_EVENT_BYTES,
  maxSkewS: config.MAX_SKEW_S,
})

/** Rows in the lists of a role that answers questions. */
export const querySettings = z
  .object({
    QUERY_DEFAULT_LIMIT: wholeNumber('Rows in a list when the caller gives no limit.', {
      ...{ min: 1, max: 100_000, standard: 1000, unit: 'rows' },
    }),
    QUERY_MAX_LIMIT: wholeNumber('Maximum rows in a list.', {
      ...{ min: 1, max: 100_000, standard: 10_000, unit: 'rows' },
    }),
  })
  .check(atMost('QUERY_DEFAULT_LIMIT', 'QUERY_MAX_LIMIT'))

/** The settings as the query routes take them. */
export const toQueryLimits = (config: z.infer<typeof querySettings>) => ({
  defaultLimit: config.QUERY_DEFAULT_LIMIT,
  maxLimit: config.QUERY_MAX_LIMIT,
})
