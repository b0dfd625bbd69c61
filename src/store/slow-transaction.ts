import type { Operation, Store } from './connect.ts'
import type { TransactionSql } from './driver.ts'

/** True from when the connection of the work is gone. */
export type Loss = { lost: boolean }

/**
 * A transaction whose work does other things between its statements, with files for example. Errors as
 * `Store.begin`.
 *
 * @param work sends no statement once `loss.lost`
 * @throws what `work` throws, or the loss of the connection; `work` has ended then
 */
export async function beginSlowly<T>(
  store: Pick<Store, 'begin'>,
  op: Operation,
  work: (tx: TransactionSql, loss: Loss) => Promise<T>,
): Promise<T> {
  const loss: Loss = { lost: false }
  let working: Promise<T> | undefined
  try {
    return await store.begin(op, (tx) => {
      working = work(tx, loss)
      return settledUnlessLost(working, loss)
    })
  } catch (error) {
    loss.lost = true
    await working?.catch(() => {})
    throw error
  }
}

/**
 * When a connection is lost between two statements, the driver (3.4.9) rejects the transaction and
 * lets its work continue. The next statement of that work, or the commit or rollback at its end, is
 * written to a socket that is gone and ends the process. So work whose connection is lost sends
 * nothing more and never settles.
 */
function settledUnlessLost<T>(work: Promise<T>, loss: Loss): Promise<T> {
  return new Promise((resolve, reject) => {
    // A turn later: the loss is reported in the same turn in which a statement fails by it.
    const unlessLost = (settle: () => void) => setImmediate(() => loss.lost || settle())
    work.then(
      (value) => unlessLost(() => resolve(value)),
      (error: unknown) => unlessLost(() => reject(error)),
    )
  })
}
