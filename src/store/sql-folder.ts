import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

/**
 * Where the SQL files are: `sql/` of the source tree, or the copy of it inside `dist/`. A bundle
 * never looks outside its own folder: it would find the checkout's files by luck and miss them
 * once it is installed elsewhere.
 */
export function sqlFolder(): URL {
  const fromSource = import.meta.url.endsWith('.ts')
  const places = fromSource ? ['../../sql/'] : ['./sql/', '../sql/']
  for (const place of places) {
    const folder = new URL(place, import.meta.url)
    if (existsSync(fileURLToPath(new URL('migrations/', folder)))) return folder
  }
  throw new Error(
    'the SQL files are missing: the folder sql/ must lie in dist/, beside wafermon.js',
  )
}
