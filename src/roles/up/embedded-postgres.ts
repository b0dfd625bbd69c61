import { startEmbedded } from '../../embedded-postgres/server.ts'
import type { RoleContext } from '../../platform/role.ts'

/**
 * The embedded PostgreSQL as a process of ours: it knows nothing of IPC, so this stops it when
 * `wafermon up` goes away, and ends when it ends, to be started again by whoever supervises.
 *
 * @returns the address of the database; it holds the password, and goes to the parent only
 */
export async function startEmbeddedPostgres(
  { dir }: { dir: string },
  { log, life }: Pick<RoleContext, 'log' | 'life'>,
): Promise<{ url: string }> {
  const server = await startEmbedded({ dir, log, signal: life.signal })
  life.onStop('database server', server.stop)
  void server.ended.then(({ wanted, reason }) => {
    if (wanted) return
    log.error({ reason }, 'the database server ended')
    process.exitCode = 1
    void life.stop(10)
  })
  log.info({ pid: server.pid, data_dir: server.dataDir }, 'the database server takes connections')
  return { url: server.url }
}
