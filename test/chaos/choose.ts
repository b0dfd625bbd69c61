/** `missing`: why it cannot be done here. */
type Choice = { name: string; missing?: string }

export type Chosen<T extends Choice> = {
  possible: T[]
  /** Why each of the others is left out. */
  missing: T[]
}

/**
 * The faults whose name has the words in it, as far as they can be done here.
 *
 * @param mustAll refuses to leave one out: where a run is to prove something, as in CI
 * @throws Error that says what is missing
 */
export function chooseFaults<T extends Choice>(
  faults: readonly T[],
  only: string | undefined,
  mustAll: boolean,
): Chosen<T> {
  const named = faults.filter(({ name }) => only === undefined || name.includes(only))
  const possible = named.filter(({ missing }) => missing === undefined)
  const missing = named.filter((fault) => fault.missing !== undefined)
  if (possible.length === 0) throw new Error('no fault is called that, or none can be done here')
  if (mustAll && missing.length > 0) {
    const why = missing.map((fault) => `${fault.name} (${fault.missing})`).join('; ')
    throw new Error(`a run under CI does every fault, and these cannot be done here: ${why}`)
  }
  return { possible, missing }
}
