import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type Bug, plant } from './plant.ts'
import type { Outcome } from './run-tests.ts'

const root = fileURLToPath(new URL('../../', import.meta.url))
const runner = 'test/planted/run-tests.ts'
/** Node.js runs the sources as they are. */
export const withSources = ['--import=tsx', '--import=./test/support/assets.mjs']
/** A longer run is killed: a bug may make anything hang. */
const deadlineMs = 150_000

/**
 * A copy of the sources as they are in the work tree, until the process ends. Bugs go in here, never
 * into the tree. Everything that its tests start has its working directory in here as well, and so
 * can be found and ended when a bug, or Ctrl-C, leaves it running.
 */
export class Copy {
  readonly #dir = mkdtempSync(join(realpathSync(tmpdir()), 'wafermon-planted-'))
  readonly #env: NodeJS.ProcessEnv

  /** @param database where the tests find a PostgreSQL of theirs; when empty, they start one */
  constructor(database: string) {
    // The tests for TimescaleDB have the same names; once is enough.
    // A variable that marks this process as a test would keep it from running tests of its own.
    const { TEST_TIMESCALE_URL: _, NODE_TEST_CONTEXT: __, ...env } = process.env
    this.#env = { ...env, TEST_DATABASE_URL: database, TMPDIR: join(this.#dir, 'tmp') }
    process.once('exit', () => this.#remove())
    const list = ['ls-files', '-z', '--cached', '--others', '--exclude-standard', '--deduplicate']
    const names = execFileSync('git', list, { cwd: root, encoding: 'utf8' }).split('\0')
    for (const name of names) {
      // Files deleted but not committed yet are listed all the same; so is a link to packages.
      const found = statSync(join(root, name), { throwIfNoEntry: false })
      if (found?.isFile()) cpSync(join(root, name), join(this.#dir, name))
    }
    symlinkSync(join(root, 'node_modules'), join(this.#dir, 'node_modules'))
    mkdirSync(join(this.#dir, 'tmp'), { mode: 0o1777 })
    // A database of root's runs as another user, who has to get to its folder.
    chmodSync(this.#dir, 0o711)
  }

  /** Does `work` while the bug is in the sources. @throws Error when it cannot be planted */
  async withBug<T>(bug: Bug, work: () => Promise<T>): Promise<T> {
    const text = this.read(bug.file)
    this.write(bug.file, plant(bug, text))
    try {
      return await work()
    } finally {
      this.write(bug.file, text)
    }
  }

  path(file: string): string {
    return join(this.#dir, file)
  }

  has(file: string): boolean {
    return existsSync(this.path(file))
  }

  read(file: string): string {
    return readFileSync(this.path(file), 'utf8')
  }

  /** Writes a file of the copy, with the folders above it. */
  write(file: string, text: string): void {
    const path = this.path(file)
    mkdirSync(dirname(path), { recursive: true })
    writeFileSync(path, text)
  }

  /** Makes dist/. @throws Error with what the build says */
  async build(): Promise<void> {
    const { code, printed } = await this.run(['esbuild.config.mjs'])
    if (code !== 0) throw new Error(`the build failed:\n${printed}`)
  }

  /** Runs tests of one file, `suite > test`. @returns what became of each, by its name */
  async runTests(file: string, names: readonly string[]): Promise<Map<string, Outcome>> {
    const { outcomes, printed } = await this.#runTests([file], names)
    const found = new Map(outcomes.map((outcome) => [outcome.name, outcome]))
    // A file that cannot be loaded counts as a test that failed, and says why.
    const said = outcomes.map(({ why }) => why).join('\n') || printed
    const why = said.trim() || 'there is no such test, or it did not come to an end'
    for (const name of names) {
      if (!found.has(name)) found.set(name, { name, result: 'missing', asserted: false, why })
    }
    return found
  }

  /** Runs every test of the files. @throws Error with what was printed when there was none */
  async runFiles(files: readonly string[]): Promise<Outcome[]> {
    const { outcomes, printed } = await this.#runTests(files, [])
    if (outcomes.length === 0) throw new Error(`no test ran:\n${printed}`)
    return outcomes
  }

  async #runTests(files: readonly string[], names: readonly string[]) {
    const results = join(this.#dir, 'outcomes')
    writeFileSync(results, '')
    const { printed } = await this.run([...withSources, runner, results, files.join(','), ...names])
    const lines = readFileSync(results, 'utf8').split('\n').filter(Boolean)
    return { outcomes: lines.map((line) => JSON.parse(line) as Outcome), printed }
  }

  /** Runs Node.js in the copy, and ends what it leaves running. So it runs one at a time. */
  async run(args: readonly string[]): Promise<{ code: number | null; printed: string }> {
    const child = spawn(process.execPath, args, {
      cwd: this.#dir,
      env: this.#env,
      // Ctrl-C is for us: what it would interrupt could not clean up in time.
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    let printed = ''
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text: string) => {
        printed = (printed + text).slice(-4000)
      })
    }
    const late = setTimeout(() => this.#killAll(), deadlineMs)
    const [code] = (await once(child, 'exit')) as [number | null]
    clearTimeout(late)
    this.#killAll()
    return { code, printed }
  }

  #killAll(): void {
    // Again, for one that was just being started; they are few, and gone immediately.
    for (let round = 0; round < 3; round++) {
      for (const pid of processesIn(this.#dir)) {
        try {
          process.kill(pid, 'SIGKILL')
        } catch {
          // It has ended by itself.
        }
      }
    }
  }

  #remove(): void {
    this.#killAll()
    rmSync(this.#dir, { recursive: true, force: true })
  }
}

/** Processes whose working directory lies in a folder. */
function processesIn(dir: string): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => {
      try {
        return `${readlinkSync(`/proc/${pid}/cwd`)}/`.startsWith(`${dir}/`)
      } catch {
        return false
      }
    })
    .map(Number)
}
