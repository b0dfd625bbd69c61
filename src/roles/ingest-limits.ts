import type { LocalApiConfig, SidecarConfig } from '../platform/config.ts'

/** What callers may send, as the door wants it; the same settings on both roles that take events. */
export const ingestLimits = (config: SidecarConfig | LocalApiConfig) => ({
  maxBytes: config.MAX_BODY_BYTES,
  maxDecompressedBytes: config.MAX_DECOMPRESSED_BYTES,
  readTimeoutMs: config.REQUEST_READ_TIMEOUT_S * 1000,
  maxBatchItems: config.MAX_BATCH_ITEMS,
  maxEventBytes: config.MAX_EVENT_BYTES,
  maxSkewS: config.MAX_SKEW_S,
})
