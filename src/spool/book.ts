import { Accounts, type AccountsOptions } from './accounts.ts'
import { Gaps } from './gaps.ts'
import { Ledger } from './ledger.ts'
import type { LedgerOptions } from './ledger-options.ts'
import { Share, type ShareOptions } from './share.ts'
import { Sizes } from './sizes.ts'

export type BookOptions = Omit<LedgerOptions, 'gaps'> &
  Omit<ShareOptions, 'ledger' | 'sizes'> &
  Pick<AccountsOptions, 'plans' | 'pauses' | 'wake'>

/** What a spool keeps of its sinks: what they did, what they are owed, and whose bytes are on disk. */
export function openBook(options: BookOptions) {
  const gaps = new Gaps(options.db, options.statements)
  const ledger = new Ledger({ ...options, gaps })
  const used = () => options.space.bytes
  const sizes = new Sizes({ ...options, used, gone: () => ledger.gone })
  const all = { ...options, gaps, ledger, sizes }
  return { ledger, sizes, share: new Share(all), accounts: new Accounts(all) }
}
