import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { build } from 'esbuild'
import type { Context } from './bench.ts'
import { folder } from './context.ts'

/** Builds one of bench/servers/ as the program is built, and starts it. */
export async function startServer(
  context: Context,
  name: 'floor' | 'canned' | 'readers' | 'receiver',
): Promise<{ url: string; trapper?: string; pid: number; child: ChildProcess }> {
  const outfile = join(folder(context), `${name}.mjs`)
  await build({
    entryPoints: [`bench/servers/${name}.ts`],
    outfile,
    bundle: true,
    platform: 'node',
    target: 'node22',
    format: 'esm',
    minify: true,
    banner: {
      js: "import{createRequire as __cr}from'node:module';const require=__cr(import.meta.url);",
    },
  })
  const child = spawn(process.execPath, [outfile], {
    env: { PATH: process.env.PATH, HOST: '127.0.0.1', PORT: '0' },
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  })
  context.after(async () => {
    if (child.exitCode !== null) return
    const ended = once(child, 'exit')
    child.kill('SIGTERM')
    await ended
  })
  const ended = once(child, 'exit').then(([code]) => {
    throw new Error(`the server ${name} ended with ${code}`)
  })
  const [said] = await Promise.race([once(child, 'message'), ended])
  return { ...(said as { url: string; trapper?: string }), pid: child.pid!, child }
}
