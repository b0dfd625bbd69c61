import { launch } from './processes.ts'

/** Runs a command of the built program to its end. */
export async function wafermon(args: readonly string[], env: Record<string, string> = {}) {
  const running = launch(args, env)
  const { code } = await running.ended
  return { code, out: running.out(), err: running.err() }
}

/** NDJSON. */
export const lines = (text: string): unknown[] =>
  text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as unknown)
