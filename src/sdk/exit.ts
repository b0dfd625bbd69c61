type Leaving = { lastChance(): Promise<void> }

/** Emitters that hold events, and whether they had their last chance. */
const holding = new Map<Leaving, boolean>()

// One listener for all emitters. A last chance is given once, or the program would never end.
process.on('beforeExit', () => {
  for (const [emitter, tried] of holding) {
    holding.set(emitter, true)
    if (!tried) void emitter.lastChance()
  }
})

/** The emitter holds new events: when the program has nothing left to do, it gets a last chance. */
export function stay(emitter: Leaving): void {
  holding.set(emitter, false)
}

/** The emitter holds nothing any more. */
export function leave(emitter: Leaving): void {
  holding.delete(emitter)
}
