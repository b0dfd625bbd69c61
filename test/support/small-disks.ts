import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { freshFolder } from './processes.ts'

/** A folder on a disk, or under a quota, that is easily filled. */
export type SmallDisk = {
  dir: string
  /** Takes all that is left, as another program would. @returns gives it back */
  fill(): () => void
}

const run = (command: string, ...args: string[]) =>
  execFileSync(command, args, { stdio: ['ignore', 'pipe', 'pipe'] }).toString()

/** Why a disk of this kind cannot be mounted here; undefined when it can. */
function findMissing(kind: 'ext4' | 'btrfs', programs: readonly string[], pack: string) {
  if (process.getuid?.() !== 0) return 'mounting a small disk needs root'
  const kernel = existsSync('/dev/loop-control') ? readFileSync('/proc/filesystems', 'utf8') : ''
  if (!kernel.includes(kind)) return 'this kernel cannot mount it'
  const folders = ['/sbin', '/usr/sbin', '/usr/bin']
  const found = programs.every((name) => folders.some((dir) => existsSync(join(dir, name))))
  return found ? undefined : `apt-get install ${pack}`
}

export const noSmallDisks = findMissing('ext4', ['mkfs.ext4', 'e2fsck'], 'e2fsprogs')
export const noQuotas = findMissing('btrfs', ['mkfs.btrfs', 'btrfs'], 'btrfs-progs')

/** An image of that many MiB, mounted. */
function mountImage(t: TestContext, mib: number, mkfs: readonly string[], options = 'loop') {
  const dir = freshFolder()
  const image = join(dir, 'image')
  writeFileSync(image, '')
  truncateSync(image, mib * 2 ** 20)
  const [command = '', ...args] = mkfs
  run(command, ...args, image)
  const at = join(dir, 'disk')
  mkdirSync(at)
  const mount = () => run('mount', '-o', options, image, at)
  mount()
  t.after(() => run('umount', '-l', at))
  return { at, image, mount }
}

/** ext4 without blocks for root. */
export function smallDisk(t: TestContext, mib: number) {
  const mkfs = ['mkfs.ext4', '-q', '-m', '0', '-O', '^has_journal']
  const { at, image, mount } = mountImage(t, mib, mkfs, 'loop,errors=remount-ro')
  const dir = join(at, 'spool')
  /** As ext4 does with a disk on which it found an error: it is read-only from then on. */
  const breakIt = () => {
    const [device = ''] = run('findmnt', '-n', '-o', 'SOURCE', at).trim().split('/').slice(-1)
    writeFileSync(`/sys/fs/ext4/${device}/trigger_fs_error`, 'a test')
  }
  const repair = () => {
    run('umount', at)
    try {
      run('e2fsck', '-fy', image)
    } catch {
      // Its code says that it repaired something.
    }
    mount()
  }
  return { dir, fill: () => eat(at), breakIt, repair }
}

/** ext4 with so few inodes that all can be taken. */
export function diskOfFewInodes(t: TestContext, mib: number): SmallDisk {
  const { at: disk } = mountImage(t, mib, ['mkfs.ext4', '-q', '-m', '0', '-N', '64'])
  const takeInodes = () => {
    const names: string[] = []
    try {
      for (let i = 0; ; i++) {
        const name = join(disk, `empty-${i}`)
        writeFileSync(name, '')
        names.push(name)
      }
    } catch {
      return () => {
        for (const name of names) rmSync(name)
      }
    }
  }
  return { dir: join(disk, 'spool'), fill: takeInodes }
}

/** A btrfs subvolume with a quota; the disk itself has space. */
export function quota(t: TestContext, mib: number): SmallDisk {
  const { at: disk } = mountImage(t, 2 * mib + 128, ['mkfs.btrfs', '-q'])
  run('btrfs', 'quota', 'enable', disk)
  const at = join(disk, 'limited')
  run('btrfs', 'subvolume', 'create', at)
  run('btrfs', 'qgroup', 'limit', `${mib}M`, at)
  return { dir: join(at, 'spool'), fill: () => eat(at) }
}

/** Writes files until not even the smallest fits. */
function eat(dir: string): () => void {
  const at = join(dir, 'others')
  mkdirSync(at, { recursive: true })
  for (const bytes of [2 ** 20, 2 ** 16, 2 ** 12]) {
    for (let i = 0; tryWrite(join(at, `${bytes}-${i}`), bytes); i++) {}
  }
  return () => rmSync(at, { recursive: true })
}

function tryWrite(file: string, bytes: number): boolean {
  try {
    writeFileSync(file, Buffer.alloc(bytes, 'others'), { flush: true })
    return true
  } catch {
    return false
  }
}
