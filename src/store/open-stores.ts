import type * as z from 'zod'
import { ConfigError } from '../core/errors.ts'
import type { RoleContext } from '../platform/role.ts'
import { connect, type Pool } from './connect.ts'
import { DatabaseWatch } from './database-watch.ts'
import { refuseUnfitPooler } from './pooler.ts'
import type { DatabaseConfig, storeSettings } from './settings.ts'

type StoreConfig = DatabaseConfig & z.infer<typeof storeSettings>

/** Questions have connections of their own: a slow one must never hold up ingest. */
export function openStores(config: StoreConfig, { life, metrics }: RoleContext) {
  const readers = Math.ceil(config.DB_POOL_MAX_SIZE / 2)
  const write = connect(config.DATABASE_URL, {
    role: 'local-api ingest',
    max: config.DB_POOL_MAX_SIZE - readers,
    min: config.DB_POOL_MIN_SIZE,
    // Far beyond any batch: without it a connection that was cut in silence holds a writer for long.
    timeoutS: 60,
    metrics,
  })
  const read = connect(config.DATABASE_URL, {
    role: 'local-api read',
    max: readers,
    timeoutS: config.QUERY_TIMEOUT_S,
    metrics,
  })
  // A connection for looking after the others, which may all be stuck.
  const watch = connect(config.DATABASE_URL, { role: 'local-api watch', max: 1, timeoutS: 10 })
  // Heartbeats wait for no batch and no question, and cost neither a connection.
  const state = connect(config.DATABASE_URL, {
    role: 'local-api heartbeats',
    max: 1,
    timeoutS: 5,
    metrics,
  })
  const all = [write, read, watch, state]
  life.onStop('database', () => Promise.all(all.map((store) => store.close())))
  void write.warm()
  return { write, read, watch, state }
}

/**
 * Follows the state of the database until the role stops. A database that is unavailable is waited
 * for.
 *
 * @throws ConfigError when the database answers and lacks migrations, or is behind a pooler that we
 * cannot work with
 */
export async function watchDatabase(
  store: Pool,
  config: StoreConfig,
  { log, life }: RoleContext,
): Promise<DatabaseWatch> {
  const watch = new DatabaseWatch(store, log, config.FREEZE_AFTER_HOURS, {
    checkWay: () => refuseUnfitPooler(config.DATABASE_URL),
  })
  const first = await watch.look()
  if (first.state === 'behind') throw new ConfigError(`wafermon local-api: ${first.why}`)
  const watching = watch.run(life.signal)
  life.onStop('database watch', () => watching)
  return watch
}
