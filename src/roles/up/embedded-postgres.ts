import { startEmbedded } from '../../embedded-postgres/server.ts'
import type { RoleContext } from '../../platform/role.ts'

/**
 * The embedded PostgreSQL in a process of its own. PostgreSQL knows nothing of IPC: this process
 * stops it when `wafermon up` ends, and ends when the server ends, so that the supervisor restarts it.
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
  log.info({ pid: server.pid, data_dir: server.dataDir }, 'the database server accepts connections')
  return { url: server.url }
}
