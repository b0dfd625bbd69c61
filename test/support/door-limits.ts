/** Of a door so small that a test passes them easily. */
export const smallLimits = {
  maxBytes: 20_000,
  maxDecompressedBytes: 20_000,
  readTimeoutMs: 60_000,
  maxBatchItems: 3,
  maxEventBytes: 5_000,
  maxSkewS: 600,
}
