/** That a person accepts what a source has lost. */
export type Acceptance = {
  /** Why, in a sentence. */
  reason: string
  /** How many events the person saw missing; with another number nothing is accepted. */
  expected?: number | undefined
  /** Who: the token, with the name that was given. */
  actor: string
  /** The address of the caller. */
  address: string | null
}

/** `accepted`: how many missing numbers. `retired`: it was silent, and is expected no longer. */
export type Accepted = { accepted: number; retired: boolean }
