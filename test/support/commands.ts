import { Command, type Option } from 'commander'
import { defaultDir } from '../../src/commands/up.ts'
import type { Reference, Row } from './reference.ts'

/*
 * The commands as the program itself describes them. Parts that depend on the machine (its user, its
 * variables) is put in words, so that the page is the same wherever it is written.
 */

/** The program as `main.ts` builds it, without the run that follows there. */
async function wholeProgram(): Promise<Command> {
  const { parseAsync } = Command.prototype
  const { promise, resolve } = Promise.withResolvers<Command>()
  Command.prototype.parseAsync = async function (this: Command) {
    resolve(this)
    return this
  }
  try {
    await import('../../src/main.ts')
    return await promise
  } finally {
    Command.prototype.parseAsync = parseAsync
  }
}

/** Every command that does something, with its path. */
function leaves(command: Command, path: string): [string, Command][] {
  const shown = command.createHelp().visibleCommands(command)
  const below = shown.filter((sub) => sub.name() !== 'help')
  if (below.length === 0) return [[path, command]]
  return below.flatMap((sub) => leaves(sub, `${path} ${sub.name()}`))
}

function argumentsText(command: Command): string {
  return command.registeredArguments
    .map((argument) => {
      const name = `${argument.name()}${argument.variadic ? '...' : ''}`
      return argument.required ? ` <${name}>` : ` [${name}]`
    })
    .join('')
}

/** The commands, and the flags of each; those with the same flags are grouped. */
export async function commandsReference(): Promise<{ commands: Reference; flags: Reference }> {
  const all = leaves(await wholeProgram(), 'wafermon')
  const does = all.map(
    ([path, command]): Row => [`\`${path}${argumentsText(command)}\``, command.description()],
  )
  const flags: Reference = new Map()
  for (const group of Map.groupBy(all, ([, command]) => String(flagRows(command))).values()) {
    const rows = flagRows(group[0]![1])
    const title = group.map(([path]) => `\`${path}\``).join(', ')
    if (rows.length > 0) flags.set(title, rows)
  }
  return { commands: new Map([['Every command', does]]), flags }
}
export const commandsHead: Row = ['Command', 'Does']
export const flagsHead: Row = ['Flag', 'Default', 'Meaning']

const flagRows = (command: Command): Row[] =>
  command.options.map(
    (option): Row => [`\`${option.flags}\``, standardOf(option), option.description],
  )

function standardOf({ mandatory, negate, defaultValue }: Option): string {
  if (mandatory) return 'required'
  if (negate || defaultValue === undefined) return ''
  if (defaultValue !== defaultDir(process.env)) return `\`${defaultValue}\``
  const env = { XDG_STATE_HOME: '~/.local/state' }
  return `\`${defaultDir(env, true)}\` for root, else \`${defaultDir(env, false)}\``
}
