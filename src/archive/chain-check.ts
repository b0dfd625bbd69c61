import type { Found, Link } from './manifest.ts'
import type { Problem } from './problem.ts'

type Seen = { link: Link; previous: Link | null; lease: number; counts: boolean }

/**
 * Checks that the manifests of each site are one chain: places from 1 without a gap, and each with the hash of the one
 * before it. Keeps some hundred bytes for each manifest.
 */
export class ChainCheck {
  /** By site and place; of two in one place both. */
  readonly #sites = new Map<string, Map<number, Seen[]>>()
  readonly #hashes = new Map<string, string>()

  /** @param counts it is the newest of its day */
  add({ manifest, link }: Found, counts: boolean): void {
    const { site, seq, previous, lease } = manifest
    this.#hashes.set(link.path, link.sha256)
    const places = this.#sites.get(site) ?? new Map<number, Seen[]>()
    this.#sites.set(site, places)
    places.set(seq, [...(places.get(seq) ?? []), { link, previous, lease, counts }])
  }

  /** True for a manifest that was seen, with these bytes. */
  has(path: string, sha256: string): boolean {
    return this.#hashes.get(path) === sha256
  }

  *problems(): Generator<Problem> {
    for (const [site, places] of this.#sites) yield* problemsOf(site, places)
  }
}

/** From the end to the start: each names the one before it. */
function* problemsOf(site: string, places: ReadonlyMap<number, Seen[]>): Generator<Problem> {
  const last = [...places.keys()].reduce((a, b) => Math.max(a, b), 0)
  let next: { seq: number; previous: Link | null } | undefined
  for (let seq = last; seq > 0; seq--) {
    const expected: Link | null | undefined = next?.seq === seq + 1 ? next.previous : undefined
    const { seen, others } = pickOfChain(places.get(seq) ?? [], expected)
    for (const { link, counts } of others) {
      const problem =
        'was written by an archiver that had been overtaken; it is replaced when more of its day is archived'
      if (counts) yield { path: link.path, problem }
    }
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

/** Of several in one place: the one that the next names; at the end that of the last lease. */
export function pickOfChain<T extends { link: Link; lease: number }>(
  places: readonly T[],
  expected: Link | null | undefined,
): { seen: T | undefined; others: T[] } {
  const latest = places.reduce<T | undefined>(
    (a, b) => (a && a.lease >= b.lease ? a : b),
    undefined,
  )
  const named = expected ? places.find(({ link }) => link.path === expected.path) : undefined
  const seen = named ?? latest
  return { seen, others: places.filter((one) => one !== seen) }
}
