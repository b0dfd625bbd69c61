import { execFileSync } from 'node:child_process'
import {
  closeSync,
  cpSync,
  existsSync,
  fstatSync,
  openSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import { Spool } from '../src/spool/spool.ts'
import { startRole } from '../test/support/processes.ts'
import type { Bench, Context, Turn } from './frame/bench.ts'
import { Connection, expectOk } from './frame/connection.ts'
import { folder } from './frame/context.ts'
import { eventMaker, timeOrderedKey } from './frame/events.ts'
import { toAppend } from './spool.ts'

const backlogBytes = 900 * 2 ** 20
const pageBytes = 8192

/** How long a sidecar with a long backlog is deaf when it starts. */
export const startBacklog: Bench = {
  name: 'start-backlog',
  about:
    'from the start of a sidecar whose spool has 900 MiB, none of it in memory, to its first 200; and the same with a spool that is damaged',
  unit: 's',
  async start(context) {
    const dir = folder(context)
    context.log('  filling a spool')
    await fill(dir)
    return {
      sides: {
        'sound spool': firstAnswer(context, dir, () => dir),
        'damaged spool': firstAnswer(context, dir, (copy) => damage(dir, copy)),
        'empty spool': firstAnswer(context, dir, (copy) => copy),
      },
      claims: [
        { side: 'sound spool', atMost: 2 },
        { side: 'damaged spool', atMost: 2 },
        { side: 'empty spool' },
      ],
    }
  },
}

async function fill(dir: string): Promise<void> {
  const spool = new Spool({ dir, sinks: ['local-api'], maxBytes: 2 ** 36 })
  const { next } = eventMaker()
  while (spool.bytes < backlogBytes) {
    await spool.append(Array.from({ length: 5000 }, () => toAppend(next(), timeOrderedKey())))
  }
  spool.close()
}

/** A copy with garbage in the middle, as the next start finds it. */
function damage(dir: string, copy: string): string {
  cpSync(dir, copy, { recursive: true })
  const file = openSync(join(copy, 'spool.db'), 'r+')
  const middle = Math.floor(fstatSync(file).size / 2 / pageBytes) * pageBytes
  writeSync(file, Buffer.alloc(3 * pageBytes, 0xa5), 0, 3 * pageBytes, middle)
  closeSync(file)
  writeFileSync(join(copy, 'spool.db.unsound'), 'found while in use\n')
  return copy
}

/** @param prepare makes the folder of the spool, in an empty one or elsewhere */
function firstAnswer(context: Context, dir: string, prepare: (copy: string) => string): Turn {
  return async () => {
    const copy = folder(context)
    const spoolDir = prepare(copy)
    forget(join(spoolDir, 'spool.db'))
    const env = { LOCAL_API_BASE: 'http://127.0.0.1:9', LOG_LEVEL: 'error', SPOOL_DIR: spoolDir }
    const begin = performance.now()
    const sidecar = await startRole(context, 'sidecar', env)
    const connection = await Connection.open(sidecar.url)
    expectOk(await connection.post('/v1/ingest/events', eventMaker().next()))
    const figure = (performance.now() - begin) / 1000
    connection.close()
    await sidecar.stop()
    if (spoolDir !== dir) rmSync(spoolDir, { recursive: true })
    return figure
  }
}

/** The kernel has nothing of the file in memory. */
function forget(path: string): void {
  if (!existsSync(path)) return
  const nothing = ['conv=notrunc,fdatasync', 'count=0', 'status=none']
  execFileSync('dd', ['if=/dev/null', `of=${path}`, 'oflag=nocache', ...nothing])
}
