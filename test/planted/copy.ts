import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  cpSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type Bug, plant } from './plant.ts'
import type { Outcome } from './run-tests.ts'

const root = fileURLToPath(new URL('../../', import.meta.url))
const runner = 'test/planted/run-tests.ts'
/** A process that takes longer is killed: a bug may make anything hang. */
const deadlineMs = 150_000

/**
 * A copy of the sources as they are in the work tree, until the process ends. Bugs go in here, never
 * into the tree.
 */
export class Copy {
  readonly #dir = mkdtempSync(join(tmpdir(), 'wafermon-planted-'))
  readonly #env: NodeJS.ProcessEnv
  readonly #running = new Set<ChildProcess>()

  /** @param database where the tests find a PostgreSQL of theirs */
  constructor(database: string) {
    // The tests for TimescaleDB have the same names; once is enough.
    const { TEST_TIMESCALE_URL: _, ...env } = process.env
    this.#env = { ...env, TEST_DATABASE_URL: database }
    process.once('exit', () => this.#remove())
    const list = ['ls-files', '-z', '--cached', '--others', '--exclude-standard', '--deduplicate']
    const names = execFileSync('git', list, { cwd: root, encoding: 'utf8' }).split('\0')
    for (const name of names) {
      // What was deleted and is not committed yet is listed all the same; so is a link to packages.
      const found = statSync(join(root, name), { throwIfNoEntry: false })
      if (found?.isFile()) cpSync(join(root, name), join(this.#dir, name))
    }
    symlinkSync(join(root, 'node_modules'), join(this.#dir, 'node_modules'))
  }

  /** Does `work` while the bug is in the sources. @throws Error when it cannot be planted */
  async withBug<T>(bug: Bug, work: () => Promise<T>): Promise<T> {
    const path = join(this.#dir, bug.file)
    const text = readFileSync(path, 'utf8')
    writeFileSync(path, plant(bug, text))
    try {
      return await work()
    } finally {
      writeFileSync(path, text)
    }
  }

  /** Makes dist/. @throws Error with what the build says */
  async build(): Promise<void> {
    const { code, printed } = await this.#node(['esbuild.config.mjs'])
    if (code !== 0) throw new Error(`the build failed:\n${printed}`)
  }

  /** Runs tests of one file, `suite > test`. @returns what became of each, by its name */
  async runTests(file: string, names: readonly string[]): Promise<Map<string, Outcome>> {
    const results = join(this.#dir, 'outcomes')
    writeFileSync(results, '')
    const program = ['--import=tsx', '--import=./test/support/assets.mjs', runner, results]
    const { printed } = await this.#node([...program, file, ...names])
    const lines = readFileSync(results, 'utf8').split('\n').filter(Boolean)
    const outcomes = lines.map((line) => JSON.parse(line) as Outcome)
    const found = new Map(outcomes.map((outcome) => [outcome.name, outcome]))
    // A file that cannot be loaded counts as a test that failed, and says why.
    const why = outcomes.map((outcome) => outcome.why).join('\n') || printed
    for (const name of names) {
      if (!found.has(name)) found.set(name, { name, result: 'missing', asserted: false, why })
    }
    return found
  }

  /** Runs Node.js in the copy, in a process group of its own. */
  async #node(args: readonly string[]): Promise<{ code: number | null; printed: string }> {
    const child = spawn(process.execPath, args, {
      cwd: this.#dir,
      env: this.#env,
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    this.#running.add(child)
    let printed = ''
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text: string) => {
        printed = (printed + text).slice(-4000)
      })
    }
    const late = setTimeout(() => kill(child), deadlineMs)
    const [code] = (await once(child, 'exit')) as [number | null]
    clearTimeout(late)
    this.#running.delete(child)
    return { code, printed }
  }

  /** Ends what runs in the copy, and takes it away. */
  #remove(): void {
    for (const child of this.#running) kill(child)
    rmSync(this.#dir, { recursive: true, force: true })
  }
}

function kill(child: ChildProcess): void {
  try {
    process.kill(-child.pid!, 'SIGKILL')
  } catch {
    // It has just ended by itself.
  }
}
