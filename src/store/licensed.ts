import { existsSync } from 'node:fs'
import { readdir, readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import type { Store } from './connect.ts'
import { migrationsFolder } from './migration-files.ts'

/*
 * What only TimescaleDB under its Timescale licence can do: the files of `sql/licensed/`. The licence of a database
 * may come after any migration, so they are no migrations: each is written so that applying it again changes
 * nothing, and they are applied by `migrate` and at every start of a local API while the licence is there.
 */

/**
 * Applies the files in the order of their names, each in a transaction.
 *
 * @param migrations the folder beside which they lie
 */
export async function applyLicensed(store: Store, migrations = migrationsFolder()): Promise<void> {
  const folder = new URL('../licensed/', migrations)
  if (!existsSync(fileURLToPath(folder))) return
  const files = (await readdir(folder)).filter((name) => name.endsWith('.sql')).sort()
  for (const file of files) {
    const text = await readFile(new URL(file, folder), 'utf8')
    await store.begin({ operation: 'applyLicensed', table: 'none' }, (tx) => tx.unsafe(text))
  }
}
