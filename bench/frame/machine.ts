import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { arch, cpus, loadavg, release, tmpdir, totalmem } from 'node:os'
import Database from 'better-sqlite3'

export type Machine = ReturnType<typeof machine>

/** The machine that the figures depend on. */
export function machine() {
  return {
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    cores: cpus().length,
    arch: arch(),
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    kernel: release(),
    disk: disk(tmpdir()),
  }
}

/** The file system of a folder, and the disk below it. */
function disk(dir: string): string {
  const [source = '', type = ''] = run('findmnt', ['-no', 'SOURCE,FSTYPE', '-T', dir]).split(/\s+/)
  const device = source.replace('/dev/', '')
  const size = Number(attempt(() => readFileSync(`/sys/block/${device}/size`, 'utf8')) || 0) * 512
  const parts = [type || 'unknown', source, size > 0 ? `${Math.round(size / 1e9)} GB` : '']
  return parts.filter(Boolean).join(', ')
}

export type Versions = { node: string; sqlite: string; commit: string; changed: boolean }

export function versions(): Versions {
  const db = new Database(':memory:')
  const sqlite = String(db.prepare('select sqlite_version()').pluck().get())
  db.close()
  return {
    node: process.version,
    sqlite,
    commit: run('git', ['rev-parse', '--short=12', 'HEAD']),
    changed: run('git', ['status', '--porcelain', '--', 'src', 'views', 'sql', 'bench']) !== '',
  }
}

/** CPU time of the whole machine so far, by what it went to, in ticks. */
function cpuTicks(): { steal: number; total: number } {
  const ticks = readFileSync('/proc/stat', 'utf8').split('\n')[0]!.trim().split(/\s+/).slice(1)
  const total = ticks.slice(0, 8).reduce((sum, each) => sum + Number(each), 0)
  return { steal: Number(ticks[7]), total }
}

/** How quiet the machine was: load before, and the share of CPU that its host took away since. */
export function watchNoise(): () => { loadBefore: number; stolenPercent: number } {
  const loadBefore = loadavg()[0]!
  const before = cpuTicks()
  return () => {
    const now = cpuTicks()
    const stolen = (now.steal - before.steal) / Math.max(1, now.total - before.total)
    return { loadBefore, stolenPercent: Math.round(stolen * 1000) / 10 }
  }
}

const run = (program: string, args: string[]) =>
  attempt(() => execFileSync(program, args, { encoding: 'utf8', stdio: 'pipe' }).trim())

function attempt(read: () => string): string {
  try {
    return read()
  } catch {
    return ''
  }
}
