import assert from 'node:assert/strict'
import { execFileSync, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import net from 'node:net'
import { join } from 'node:path'
import { describe, type TestContext, test } from 'node:test'
import { manifestPath } from '../../src/archive/layout.ts'
import { closedHour, eventAt, hourAt, run, settle, takeIn } from '../archive/support.ts'
import { freshFolder, program, startRole, until } from '../support/processes.ts'

const some = (n: number, hour = 13) => Array.from({ length: n }, (_, i) => eventAt(i, {}, hour))
/** Looks again and again, so that no test waits for an hour. */
const often = { ARCHIVE_INTERVAL_HOURS: '0.001' }

function archiver(t: TestContext, url: string, dir: string, more: Record<string, string> = {}) {
  return startRole(t, 'archiver', { DATABASE_URL: url, ARCHIVE_DIR: dir, ...often, ...more })
}

type Health = { code: number; status: string; trouble?: string; [detail: string]: unknown }

async function health({ url }: { url: string }): Promise<Health> {
  const response = await fetch(`${url}/v1/healthz`)
  return { ...((await response.json()) as Health), code: response.status }
}

const hasManifest = (dir: string, hour = 13, site = 'fab1') =>
  existsSync(join(dir, manifestPath(hourAt(hour, site))))

/** What `wafermon archive verify --deep` says of a folder. */
function verify(dir: string) {
  const args = [program, 'archive', 'verify', '--deep', '--json', '--dir', dir]
  try {
    return JSON.parse(execFileSync(process.execPath, args, { encoding: 'utf8' }))
  } catch (error) {
    return JSON.parse((error as { stdout: string }).stdout)
  }
}

describe('wafermon archiver', () => {
  test('archives closed hours, notes them and says so', async (t) => {
    const { store, url } = await closedHour(t, some(25))
    const dir = join(freshFolder(), 'archive')
    const role = await archiver(t, url, dir)
    const noted = () => run(store, `select kind, rows::int from archive_file order by kind`)
    await until('the hour', async () => (await noted()).length === 2)
    assert.deepEqual(
      (await noted()).map((row) => ({ ...row })),
      [
        { kind: 'event', rows: 25 },
        { kind: 'job', rows: 25 },
      ],
    )
    const metrics = await (await fetch(`${role.url}/metrics`)).text()
    assert.match(metrics, /wafermon_archive_rows_total\{table="event"\} 25/)
    assert.match(metrics, /wafermon_archive_failures_total 0/)
    await until('the round', async () => (await health(role)).last_run_at !== null)
    const { code, status, hours_archived } = await health(role)
    assert.deepEqual(
      { code, status, hours_archived },
      { code: 200, status: 'ok', hours_archived: 1 },
    )
    assert.deepEqual(await role.stop(), { code: 0, signal: null })
    assert.deepEqual(verify(dir).problems, [])
  })

  test('catches up on the hours of a downtime, oldest first', async (t) => {
    const events = [9, 13, 7, 11].flatMap((hour) => some(3, hour))
    const { url } = await closedHour(t, events)
    const dir = freshFolder()
    const role = await archiver(t, url, dir)
    await until('the last hour', () => hasManifest(dir, 13))
    await role.stop()
    const hours = role
      .logs()
      .split('\n')
      .filter((line) => line.includes('hour archived'))
      .map((line) => /T(\d\d):00:00.000000Z/.exec(line)?.[1])
    assert.deepEqual(hours, ['07', '09', '11', '13'])
  })

  test('leaves an hour alone while it is open or its jobs still change', async (t) => {
    const { store, url } = await closedHour(t, [...some(3, 14), ...some(3, 13)])
    await run(store, `update job set updated_at = now()`)
    const dir = freshFolder()
    const role = await archiver(t, url, dir)
    await until('a round', async () => (await health(role)).unsettled_hours === 1)
    assert.ok(!hasManifest(dir, 13))
    await settle(store)
    await until('the settled hour', () => hasManifest(dir, 13))
    assert.ok(!hasManifest(dir, 14))
  })

  test('waits for settled jobs half a day at most when there are raw events', async (t) => {
    const { store, url } = await closedHour(t, some(3))
    await run(store, `update job set updated_at = now()`)
    await run(store, `update horizon set frozen_before = '2026-03-02T02:00:01Z'`)
    const dir = freshFolder()
    await archiver(t, url, dir)
    await until('the overdue hour', () => hasManifest(dir, 13))
  })

  test('archives the site that it is told to, and no other', async (t) => {
    const { url } = await closedHour(t, [eventAt(0), { ...eventAt(1), site_id: 'fab2' }])
    const dir = freshFolder()
    const role = await archiver(t, url, dir, { SITE_ID: 'fab2' })
    await until('the hour', () => hasManifest(dir, 13, 'fab2'))
    await until('the round', async () => (await health(role)).last_run_at !== null)
    assert.deepEqual(readdirSync(join(dir, 'event')), ['site=fab2'])
  })

  test('works alone; a second one takes over when the first is killed', async (t) => {
    const { store, url } = await closedHour(t, some(3, 9))
    const dir = freshFolder()
    const first = await archiver(t, url, dir)
    await until('the first hour', () => hasManifest(dir, 9))
    const second = await archiver(t, url, dir)
    await until('a round', async () => (await health(second)).last_run_at !== null)
    assert.deepEqual([(await health(second)).code, (await health(second)).here], [200, false])
    await first.kill9()
    await takeIn(store, some(3, 11))
    await until('the second hour', () => hasManifest(dir, 11))
    assert.equal((await health(second)).here, true)
  })
})

describe('wafermon archiver, in trouble', () => {
  test('is not ready without its folder, and goes on when it is there', async (t) => {
    const { url } = await closedHour(t, some(3))
    const above = join(freshFolder(), 'mount')
    const role = await archiver(t, url, join(above, 'archive'))
    const { code, trouble } = await health(role)
    assert.equal(code, 503)
    assert.match(trouble ?? '', /ARCHIVE_DIR: .*the folder above it is missing/)
    mkdirSync(above)
    await until('the hour', () => hasManifest(join(above, 'archive')))
    await until('health', async () => (await health(role)).code === 200)
    assert.match(await (await fetch(`${role.url}/metrics`)).text(), /archive_failures_total [1-9]/)
  })

  test('is not ready while something else is in the place of its folder', async (t) => {
    const { url } = await closedHour(t, some(1))
    const file = join(freshFolder(), 'file')
    writeFileSync(file, '')
    assert.equal((await health(await archiver(t, url, file))).code, 503)
  })

  test('writes nothing into a folder that is not the archive it knows', async (t) => {
    const { store, url } = await closedHour(t, some(3, 9))
    const dir = join(freshFolder(), 'archive')
    const role = await archiver(t, url, dir)
    await until('the first hour', () => hasManifest(dir, 9))
    renameSync(dir, `${dir}-elsewhere`)
    await takeIn(store, some(3, 11))
    await until('trouble', async () =>
      /nothing of fab1, which was archived before/.test((await health(role)).trouble ?? ''),
    )
    assert.deepEqual(readdirSync(dir), [])
    rmSync(dir, { recursive: true })
    renameSync(`${dir}-elsewhere`, dir)
    await until('the second hour', () => hasManifest(dir, 11))
    assert.deepEqual(verify(dir).problems, [])
  })

  test('does not write an hour again whose manifest was lost', async (t) => {
    const { store, url } = await closedHour(t, [...some(3, 9), ...some(3, 11)])
    const dir = freshFolder()
    const first = await archiver(t, url, dir)
    await until('both', async () => {
      const [row] = await run(store, 'select count(distinct hour)::int as n from archive_file')
      return row?.n === 2
    })
    await first.stop()
    rmSync(join(dir, manifestPath(hourAt(9))))
    const role = await archiver(t, url, dir)
    const found = await until('the failure', async () => {
      const now = await health(role)
      return now.failed_hours === 1 && now
    })
    assert.deepEqual([found.code, found.status], [200, 'degraded'])
    assert.match(JSON.stringify(found.failures), /lacks the manifest of an hour that was archived/)
    assert.ok(!hasManifest(dir, 9))
  })

  test('survives the loss of the database, and goes on when it is back', async (t) => {
    const { store, url } = await closedHour(t, some(3, 9))
    const door = await doorTo(t, url)
    const dir = freshFolder()
    const role = await archiver(t, door.url, dir)
    await until('the first hour', () => hasManifest(dir, 9))
    await door.shut()
    await until('trouble', async () => (await health(role)).code === 503)
    await takeIn(store, some(3, 11))
    await door.open()
    await until('the second hour', () => hasManifest(dir, 11), 60_000)
    await until('health', async () => (await health(role)).code === 200)
  })

  test('finishes the hour once a full disk has room again', async (t) => {
    if (process.getuid?.() !== 0) return t.skip('a small disk can only be mounted by root')
    const dense = () => ({ metadata: { noise: randomBytes(300).toString('hex') } })
    const { url } = await closedHour(
      t,
      Array.from({ length: 3000 }, (_, i) => eventAt(i, dense())),
    )
    const dir = smallDisk(t, '256k')
    const role = await archiver(t, url, dir)
    await until('trouble', async () => /disk.* full/.test((await health(role)).trouble ?? ''))
    assert.equal((await health(role)).code, 503)
    assert.ok(!hasManifest(dir))
    execFileSync('mount', ['-o', 'remount,size=64m', dir])
    await until('the hour', () => hasManifest(dir), 60_000)
    assert.deepEqual(verify(dir).problems, [])
  })

  test('says that a disk is mounted read-only', async (t) => {
    if (process.getuid?.() !== 0) return t.skip('a disk can only be mounted by root')
    const { url } = await closedHour(t, some(3))
    const dir = smallDisk(t, '1m')
    execFileSync('mount', ['-o', 'remount,ro', dir])
    const role = await archiver(t, url, dir)
    assert.match((await health(role)).trouble ?? '', /EROFS.*read-only/)
    execFileSync('mount', ['-o', 'remount,rw', dir])
    await until('the hour', () => hasManifest(dir), 60_000)
  })
})

describe('wafermon archiver, killed', () => {
  /** Calls of the system at which it dies, before they are carried out: every step of the order. */
  const steps = [
    ['fsync', 1, 'with the first file written'],
    ['fsync', 2, 'with the second file written'],
    ['link', 1, 'before a file has its name'],
    ['unlink', 1, 'with the first file named'],
    ['link', 2, 'between two files'],
    ['fsync', -1, 'with the files named, before the manifest'],
    ['link', 3, 'before the manifest has its name'],
    ['unlink', 3, 'with the manifest named, before it is noted'],
  ] as const

  test('at every step leaves nothing that counts or a whole hour', async (t) => {
    if (!existsSync('/usr/bin/strace'))
      return t.skip('strace is not installed: apt-get install strace')
    const { store, url } = await closedHour(t, some(700))
    for (const [call, n, what] of steps) {
      const dir = freshFolder()
      await run(store, 'delete from archive_file')
      await dieAt(url, dir, call, n === -1 ? await lastFsync(url, store) : n)
      const after = verify(dir)
      assert.ok(after.hours.length === 0 || after.problems.length === 0, what)
      const role = await archiver(t, url, dir)
      await until(`the hour, killed ${what}`, async () => {
        const [row] = await run(store, 'select sum(rows)::int as n from archive_file')
        return row?.n === 1400
      })
      await role.stop()
      const { problems, hours } = verify(dir)
      assert.deepEqual(problems, [], what)
      assert.deepEqual(
        hours.map((hour: { rows: unknown }) => hour.rows),
        [{ event: 700, job: 700, subjob: 0 }],
        what,
      )
    }
  })

  /** Which fsync is that of the manifest: the last one but those of its folders. */
  async function lastFsync(url: string, store: Parameters<typeof run>[0]): Promise<number> {
    const dir = freshFolder()
    const calls = await traced(url, dir, ['-e', 'trace=fsync,link', '-y'])
    await run(store, 'delete from archive_file')
    const lines = calls.split('\n').filter((line) => /\b(fsync|link)\(/.test(line))
    const manifest = lines.findIndex((line) => line.includes('manifest.json'))
    assert.ok(manifest > 0, calls)
    return lines.slice(0, manifest + 1).filter((line) => line.includes('fsync(')).length
  }

  async function dieAt(url: string, dir: string, call: string, n: number): Promise<void> {
    const inject = `inject=${call}:signal=KILL:when=${n}`
    const ended = await traced(url, dir, ['-e', `trace=${call}`, '-e', inject])
    assert.match(ended, /killed by SIGKILL/, `${call} ${n} was not reached`)
  }

  /** Runs an archiver under strace until it dies or has archived the hour. One thread for files. */
  async function traced(url: string, dir: string, args: string[]): Promise<string> {
    const output = join(freshFolder(), 'strace')
    const command = ['-f', '-o', output, ...args, process.execPath, program, 'archiver']
    const child = spawn('strace', command, {
      env: {
        PATH: process.env.PATH,
        DATABASE_URL: url,
        ARCHIVE_DIR: dir,
        PORT: '0',
        UV_THREADPOOL_SIZE: '1',
        ...often,
      },
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const ended = once(child, 'exit')
    for await (const chunk of child.stdout) {
      if (String(chunk).includes('hour archived')) process.kill(childOf(child.pid ?? 0), 'SIGTERM')
    }
    await ended
    return readFileSync(output, 'utf8')
  }
})

/** strace itself would let go of the program on a signal, and leave it running. */
const childOf = (pid: number) =>
  Number(readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ')[0])

/** A disk of its own, as small as told. */
function smallDisk(t: TestContext, size: string): string {
  const dir = freshFolder()
  execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${size}`, 'tmpfs', dir])
  // Lazily: what runs in it has not stopped yet.
  t.after(() => execFileSync('umount', ['-l', dir]))
  return dir
}

/** A way to the database that can be shut: connections break, new ones are refused. */
async function doorTo(t: TestContext, url: string) {
  const target = new URL(url)
  const folder = target.searchParams.get('host')
  const to = folder
    ? { path: `${folder}/.s.PGSQL.${target.port || 5432}` }
    : { host: target.hostname, port: Number(target.port || 5432) }
  const open = new Set<net.Socket>()
  const server = net.createServer((near) => {
    const far = net.connect(to as net.NetConnectOpts)
    for (const [one, other] of [
      [near, far],
      [far, near],
    ] as const) {
      open.add(one)
      one.pipe(other)
      one.on('error', () => {})
      one.on('close', () => other.destroy())
    }
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as net.AddressInfo
  const shut = async () => {
    server.close()
    for (const socket of open) socket.destroy()
  }
  t.after(shut)
  target.searchParams.delete('host')
  target.hostname = '127.0.0.1'
  target.port = String(port)
  const reopen = () => {
    server.listen(port, '127.0.0.1')
    return once(server, 'listening')
  }
  return { url: target.href, shut, open: reopen }
}
