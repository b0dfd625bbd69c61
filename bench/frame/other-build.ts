import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, renameSync, rmSync, symlinkSync } from 'node:fs'
import { join, resolve } from 'node:path'

/**
 * The program as it was at a commit, built once and kept in .cache/builds/. It gets the packages of
 * this checkout, so that only our own code differs.
 *
 * @returns the path of its wafermon.js
 * @throws Error when the commit is not in this clone, or does not build
 */
export function buildOf(commit: string): string {
  const home = resolve('.cache/builds', commit)
  const main = join(home, 'dist/wafermon.js')
  if (existsSync(main)) return main
  const partial = `${home}.${process.pid}`
  mkdirSync(partial, { recursive: true })
  try {
    execFileSync('tar', ['-x', '-C', partial], { input: archive(commit) })
    symlinkSync(resolve('node_modules'), join(partial, 'node_modules'))
    execFileSync(process.execPath, ['esbuild.config.mjs'], { cwd: partial, stdio: 'pipe' })
    rmSync(home, { recursive: true, force: true })
    renameSync(partial, home)
  } catch (error) {
    rmSync(partial, { recursive: true, force: true })
    throw error
  }
  return main
}

function archive(commit: string): Buffer {
  try {
    const options = { maxBuffer: 2 ** 30, stdio: ['ignore', 'pipe', 'pipe'] as const }
    return execFileSync('git', ['archive', commit], { ...options, stdio: [...options.stdio] })
  } catch (cause) {
    throw new Error(
      `commit ${commit} is not in this clone, and the bench compares with it; fetch it with: git fetch --unshallow`,
      { cause },
    )
  }
}
