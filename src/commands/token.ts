import type { Command } from 'commander'
import { printLine } from '../platform/stdout.ts'
import { type ConfigFlags, configOption, jsonOption, readTool, settingOption } from './options.ts'

type Flags = ConfigFlags & { file?: string }
type NewFlags = Flags & { scope: string; note?: string; site?: string[]; source?: string[] }

/** Adds `wafermon token new`, `list` and `revoke`. */
export function addToken(program: Command): void {
  const token = program
    .command('token')
    .description('creates, lists and revokes the tokens of a role')
  withFile(token.command('new'))
    .description('creates a token and prints it, once; the file keeps only its hash')
    .requiredOption('--scope <scopes>', 'comma-separated: ingest, read, forward, operate, admin')
    .option('--site <id...>', 'sites whose events it may send; others are refused')
    .option('--source <id...>', 'spools whose stamps count, with scope forward')
    .option('--note <text>', 'who holds the token, and for what')
    .action(async (flags: NewFlags) => {
      const { makeToken, readBounds, readScopes } = await import('../tools/token.ts')
      const scopes = readScopes(flags.scope)
      const bounds = readBounds(scopes, { sites: flags.site, sources: flags.source })
      await printLine(makeToken(await readFile(flags), scopes, flags.note, bounds))
    })
  withFile(token.command('list'))
    .alias('ls')
    .description('lists the tokens: id, scopes, note')
    .addOption(jsonOption())
    .action(async (flags: Flags & { json?: boolean }) => {
      const { listTokens } = await import('../tools/token.ts')
      const tokens = listTokens(await readFile(flags))
      if (flags.json) return printLine(JSON.stringify(tokens, null, 2))
      for (const { id, scopes, note } of tokens)
        await printLine(`${id}  ${scopes.join(',')}  ${note}`.trimEnd())
    })
  withFile(token.command('revoke'))
    .argument('<id>', 'id of the token, as in wafermon token list')
    .description('revokes a token, with immediate effect')
    .action(async (id: string, flags: Flags) => {
      const { revokeToken } = await import('../tools/token.ts')
      revokeToken(await readFile(flags), id)
      await printLine(`revoked ${id}`)
    })
}

const withFile = (command: Command) =>
  command
    .addOption(settingOption('--file <file>', 'file of tokens', 'TOKENS_FILE'))
    .addOption(configOption())

async function readFile(flags: Flags): Promise<string> {
  return (await readTool('token', flags, { TOKENS_FILE: ['--file', flags.file] })).TOKENS_FILE
}
