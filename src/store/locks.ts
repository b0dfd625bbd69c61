/** The advisory locks, by what they guard. Versions that run side by side must agree on the numbers. */
export const locks = {
  /** Live positions, from when one is given until it is committed. */
  live: 7001,
  /** The freeze horizon: shared by ingest, exclusive to move it. */
  horizon: 7002,
  /** The replica that does maintenance. */
  maintenance: 7003,
  migrate: 7004,
  /** The archiver that writes. */
  archive: 7005,
  /** The replica that makes rollups. */
  rollups: 7006,
} as const
