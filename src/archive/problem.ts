/** What is wrong with a file of the archive. */
export type Problem = { path: string; problem: string }

/** An error as a problem of a file, whose name it may begin with. */
export function toProblem(path: string, error: unknown): Problem {
  const text = error instanceof Error ? error.message : String(error)
  return { path, problem: text.startsWith(`${path} `) ? text.slice(path.length + 1) : text }
}
