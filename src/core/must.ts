/** A contract inside the program was broken: a bug of ours, never of a caller. */
export class ContractError extends Error {
  override readonly name = 'ContractError'
}

/**
 * A value that is present by construction.
 *
 * @param message the reason it must be present, for the log
 * @throws ContractError when it is missing
 */
export function must<T>(value: T | null | undefined, message: string): T {
  if (value === null || value === undefined) throw new ContractError(message)
  return value
}

/**
 * Checks a guarantee where the code relies on it.
 *
 * @throws ContractError when it does not hold
 */
export function ensure(holds: boolean, message: string): asserts holds {
  if (!holds) throw new ContractError(message)
}
