import type { Store } from '../connect.ts'

const op = { operation: 'compress', table: 'event' }

/**
 * Compresses the chunks of raw events that lie wholly below the freeze horizon, oldest first. Not by a policy of
 * TimescaleDB, which knows only ages: a horizon that waits would be overtaken.
 *
 * @returns how many
 */
export async function compressFrozen(store: Store, signal: AbortSignal): Promise<number> {
  const chunks = await store.ask<{ name: string }[]>(
    op,
    (sql) => sql`
      /* compress.due */
      select format('%I.%I', chunk_schema, chunk_name) as name from timescaledb_information.chunks
      where hypertable_schema = current_schema() and hypertable_name = 'event' and not is_compressed
        and range_end <= (select frozen_before from horizon)
      order by range_end`,
  )
  for (const { name } of chunks) {
    signal.throwIfAborted()
    await store.ask(
      op,
      (sql) => sql`
        /* compress.chunk */ select compress_chunk(${name}::regclass, if_not_compressed => true)`,
    )
  }
  return chunks.length
}
