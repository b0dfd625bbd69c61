/** Variables of the environment. */
export type Env = Readonly<Record<string, string | undefined>>

/** Far deeper than any setting. */
const maxDepth = 16

/**
 * A copy in which `${NAME}` in any text is the value of that variable; `$${` stands for `${` itself.
 *
 * @returns the copy, and what is wrong, by path: no value is shown
 */
export function fillVariables(value: unknown, env: Env): { value: unknown; problems: string[] } {
  const problems: string[] = []
  const fill = (part: unknown, path: string, depth: number): unknown => {
    if (typeof part === 'string')
      return fillText(part, env, (why) => problems.push(`${path}: ${why}`))
    if (typeof part !== 'object' || part === null) return part
    if (depth === 0) {
      problems.push(`${path}: is nested too deeply`)
      return null
    }
    const under = (name: string | number) => (path === '' ? `${name}` : `${path}.${name}`)
    if (Array.isArray(part)) return part.map((item, i) => fill(item, under(i), depth - 1))
    return Object.fromEntries(
      Object.entries(part).map(([name, item]) => [name, fill(item, under(name), depth - 1)]),
    )
  }
  const filled = fill(value, '', maxDepth)
  return { value: filled, problems: problems.map((text) => text.replace(/^config\./, '')) }
}

const variable = /\$\$\{|\$\{([^}]*)\}?/g

function fillText(text: string, env: Env, complain: (why: string) => void): string {
  return text.replaceAll(variable, (found, name?: string) => {
    if (found === '$${') return '${'
    const isName =
      name !== undefined && found.endsWith('}') && /^[A-Za-z_][A-Za-z0-9_]*$/.test(name)
    if (!isName) {
      complain('has a variable without a name; write its name between the braces')
      return ''
    }
    const value = env[name]
    if (value === undefined || value === '') complain(`the variable ${name} is not set`)
    return value ?? ''
  })
}
