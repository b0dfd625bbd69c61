import type { Found, Link } from './manifest.ts'
import type { Problem } from './problem.ts'

type Seen = { link: Link; previous: Link | null; lease: number; counts: boolean }

/**
 * Checks that the manifests of each site are one chain: places from 1 without a gap, and each with the hash of the one
 * before it. Keeps some hundred bytes for each manifest.
 */
export class ChainCheck {
  readonly #sites = new Map<string, Map<number, Seen>>()
  readonly #hashes = new Map<string, string>()
  readonly #overtaken: Seen[] = []

  /** @param counts it is the newest of its day */
  add({ manifest, link }: Found, counts: boolean): void {
    const { site, seq, previous, lease } = manifest
    this.#hashes.set(link.path, link.sha256)
    const chain = this.#sites.get(site) ?? new Map<number, Seen>()
    this.#sites.set(site, chain)
    const seen: Seen = { link, previous, lease, counts }
    const other = chain.get(seq)
    // Of two in one place the one of the earlier lease was written by an archiver that was overtaken.
    const isLater = !other || other.lease < lease
    if (isLater) chain.set(seq, seen)
    if (other) this.#overtaken.push(isLater ? other : seen)
  }

  /** True for a manifest that was seen, with these bytes. */
  has(path: string, sha256: string): boolean {
    return this.#hashes.get(path) === sha256
  }

  *problems(): Generator<Problem> {
    for (const [site, chain] of this.#sites) yield* problemsOf(site, chain)
    for (const { link, counts } of this.#overtaken) {
      const problem =
        'was written by an archiver that had been overtaken; it is replaced when more of its day is archived'
      if (counts) yield { path: link.path, problem }
    }
  }
}

function* problemsOf(site: string, chain: ReadonlyMap<number, Seen>): Generator<Problem> {
  const last = [...chain.keys()].reduce((a, b) => Math.max(a, b), 0)
  let next: { seq: number; previous: Link | null } | undefined
  for (let seq = last; seq > 0; seq--) {
    const seen = chain.get(seq)
    const expected: Link | null | undefined = next?.seq === seq + 1 ? next.previous : undefined
    if (!seen) {
      const path = expected?.path ?? `_manifest/site=${site}`
      const problem = `is missing: number ${seq} in the chain of ${site}; its day cannot be trusted; restore it from a copy`
      yield { path, problem }
      continue
    }
    next = { seq, previous: seen.previous }
    if (expected && expected.sha256 !== seen.link.sha256) {
      yield { path: seen.link.path, problem: 'was changed: the manifest after it has another hash' }
    }
  }
}
