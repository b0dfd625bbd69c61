import { cancelable, type Sql, type Store, unlessAborted } from './connect.ts'
import type { TransactionSql } from './driver.ts'

/**
 * A store whose work is done in transactions that begin with a check, so that nothing is written unless
 * it passes.
 *
 * @param check the first statement of every transaction. What it throws refuses the work
 */
export function fenced(store: Store, check: (tx: TransactionSql) => Promise<unknown>): Store {
  const begin: Store['begin'] = (op, work) =>
    store.begin(op, async (tx) => {
      await check(tx)
      return work(tx)
    })
  const { listen, pool, warm, close } = store
  return {
    ...{ listen, pool, warm, close, begin },
    ask: (op, question, signal) => {
      const asked = begin(op, (tx) => cancelable(question(tx as unknown as Sql), signal))
      return unlessAborted(asked, signal)
    },
  }
}
