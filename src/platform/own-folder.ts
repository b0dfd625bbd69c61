import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  realpathSync,
  type Stats,
} from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { AppError } from '../core/errors.ts'

/*
 * Folders of state among other users of the machine. A user who may change a folder may put a link in
 * the place of a file that we are about to write, and a process of root then overwrites the file that
 * the link leads to.
 */

type Who = { uid?: number }

const ourId = () => process.getuid?.() ?? 0

/**
 * Why other users could put something in the way of what we write in `dir`.
 *
 * Links on the way to it, and the folder itself, must belong to us or root. For root every folder above
 * counts too: its owner, or every user when it is open to all, could exchange what is below. A folder
 * that does not exist yet is judged by those above it.
 *
 * @returns a sentence with the remedy; undefined when only we and root can
 */
export function explainForeign(dir: string, { uid = ourId() }: Who = {}): string | undefined {
  const trusts = (stats: Stats) => stats.uid === 0 || stats.uid === uid
  const path = resolve(dir)
  for (const step of stepsTo(path)) {
    const stats = look(step)
    if (stats?.isSymbolicLink() && !trusts(stats)) return foreign(step, 'is a link that', stats)
  }
  const real = nearestReal(path)
  const steps = uid === 0 ? stepsTo(real) : [real]
  for (const step of steps) {
    const stats = look(step)
    if (!stats?.isDirectory()) continue
    const own = step === real && existsSync(path)
    if (!trusts(stats) && (own || uid === 0)) return foreign(step, 'is a folder that', stats)
    if (uid === 0 && !own && isOpenToAll(stats)) return openToAll(step)
  }
  return undefined
}

/** The folder itself, or the nearest above it that exists, without links. */
const nearestReal = (path: string): string =>
  existsSync(path) ? realpathSync(path) : nearestReal(dirname(path))

function look(path: string): Stats | undefined {
  try {
    return lstatSync(path)
  } catch {
    // Not there, or not for us to see: using it fails in its own words.
    return undefined
  }
}

const sticky = 0o1000
const isOpenToAll = ({ mode }: Stats) => (mode & 0o002) !== 0 && (mode & sticky) === 0

const foreign = (path: string, what: string, { uid }: Stats) =>
  `${path} ${what} belongs to another user (id ${uid}), who could put links in the place of our files: ` +
  'run as that user, or choose a folder of your own'

const openToAll = (path: string) =>
  `every user may exchange what is in ${path}, and root must not write there: run \`chmod o-w ${path}\`, ` +
  'or choose another folder'

/** `/`, `/a`, `/a/b` for `/a/b`. */
function stepsTo(path: string): string[] {
  const above = dirname(path)
  return above === path ? [path] : [...stepsTo(above), path]
}

/**
 * Makes a folder and those above it, with this mode whatever the umask. Not by mkdir's own `recursive`:
 * below /proc that never ends.
 */
export function makeFolders(dir: string, mode: number): void {
  if (existsSync(dir)) return
  makeFolders(dirname(dir), mode)
  mkdirSync(dir, { mode })
  chmodSync(dir, mode)
}

/**
 * Takes what `forbidden` has from the permissions of a folder, and all that others may do from our files
 * in it. What belongs to others, and a folder that is meant to be shared (/tmp), stays as it is: a
 * mistyped address must not close a part of the system to its users.
 *
 * @param forbidden bits such as 0o077
 * @param ours names of what we write in it
 * @throws AppError `invalid` when it is no folder, or is open and holds something besides ours
 */
export function closeFolder(dir: string, forbidden: number, ours: RegExp): void {
  const stats = lstatSync(realpathSync(dir))
  if (!stats.isDirectory()) {
    throw new AppError('invalid', `${dir} is not a folder: move it away, or choose a folder`)
  }
  if (stats.uid !== ourId() || (stats.mode & sticky) !== 0) return
  const names = readdirSync(dir)
  const other = names.find((name) => !ours.test(name) && name !== 'lost+found')
  if ((stats.mode & forbidden) !== 0 && other !== undefined) {
    throw new AppError(
      'invalid',
      `${dir} is open to other users and holds more than our files (${other}): choose a folder of its own, ` +
        `or run \`chmod ${octal(stats.mode & 0o777 & ~forbidden)} ${dir}\``,
    )
  }
  close(dir, stats, forbidden)
  for (const name of names.filter((name) => ours.test(name))) {
    const file = join(dir, name)
    const stats = look(file)
    if (stats?.isFile() && stats.uid === ourId()) close(file, stats, 0o077)
  }
}

const octal = (mode: number) => mode.toString(8).padStart(3, '0')

function close(path: string, { mode }: Stats, forbidden: number): void {
  if ((mode & forbidden) !== 0) chmodSync(path, mode & 0o7777 & ~forbidden)
}
