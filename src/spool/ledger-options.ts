import type { Db } from './db.ts'
import type { DiskGuard } from './disk-guard.ts'
import type { Gaps } from './gaps.ts'
import type { Positions } from './positions.ts'
import type { Rejects } from './rejects.ts'
import type { SeenKeys } from './seen-keys.ts'
import type { Statements } from './statements.ts'

export type LedgerOptions = {
  db: Db
  statements: Statements
  positions: Positions
  rejects: Rejects
  gaps: Gaps
  keys: SeenKeys
  disk: DiskGuard
  /** Up to here no event is left. */
  gone: number
  /** False when the database is damaged: what can be read of it is carried over as it is. */
  isSound: () => boolean
  /** Called after every commit of its own. */
  onCommit: () => void
}
