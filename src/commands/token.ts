import type { Command } from 'commander'
import { printLine } from '../platform/stdout.ts'

type Flags = { file?: string }

/** Adds `wafermon token new`, `list` and `revoke`. */
export function addToken(program: Command): void {
  const token = program
    .command('token')
    .description('makes, lists and revokes the tokens of a role')
  const file = ['--file <file>', 'the tokens file (or TOKENS_FILE)'] as const
  token
    .command('new')
    .description('makes a token and prints it, once; the file keeps only its hash')
    .requiredOption('--scope <scopes>', 'ingest, read, operate, admin; comma between')
    .option(...file)
    .option('--note <text>', 'who has it, for what')
    .action(async (flags: Flags & { scope: string; note?: string }) => {
      const { makeToken, readScopes, tokensFile } = await import('../tools/token.ts')
      const scopes = readScopes(flags.scope)
      await printLine(makeToken(tokensFile(flags.file, process.env), scopes, flags.note))
    })
  token
    .command('list')
    .alias('ls')
    .description('lists the tokens: id, scopes, note')
    .option(...file)
    .option('--json', 'print the result as JSON')
    .action(async (flags: Flags & { json?: boolean }) => {
      const { listTokens, tokensFile } = await import('../tools/token.ts')
      const tokens = listTokens(tokensFile(flags.file, process.env))
      if (flags.json) return printLine(JSON.stringify(tokens, null, 2))
      for (const { id, scopes, note } of tokens)
        await printLine(`${id}  ${scopes.join(',')}  ${note}`.trimEnd())
    })
  token
    .command('revoke')
    .argument('<id>', 'as wafermon token list shows it')
    .description('takes a token back, at once')
    .option(...file)
    .action(async (id: string, flags: Flags) => {
      const { revokeToken, tokensFile } = await import('../tools/token.ts')
      revokeToken(tokensFile(flags.file, process.env), id)
      await printLine(`revoked ${id}`)
    })
}
