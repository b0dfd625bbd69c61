import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import type { Auth, Known } from './auth.ts'
import { clock } from './clock.ts'

/*
 * A session is what a browser keeps instead of a token: `ID.EXPIRES.MAC`, in a cookie. The MAC is
 * keyed with the stored hash of the token and a secret of the role, so that
 *
 * - the cookie is not a token: no API takes it, and neither another dashboard nor its log can use it;
 * - revoking a token ends its sessions with the next request;
 * - nothing is stored: sessions survive a restart, and replicas accept each other's sessions;
 * - the tokens file alone, were it read by others, makes no session where the role has a secret.
 */

/** How long a session lasts from its last renewal, in seconds. */
export const sessionS = 7 * 86_400
/** A session in use is renewed at this age, in seconds: a screen that is in use stays signed in. */
const renewAfterS = 86_400
/** How long an invitation may be used, in seconds. */
const invitationS = 3600

export class Sessions {
  readonly #auth: Auth
  readonly #secret: string
  readonly #now: () => number
  /** When the invitations that were used would have ended, in seconds. */
  readonly #used = new Map<string, number>()

  /** @param secret of the role, the same in its replicas and after a restart; may be empty */
  constructor(auth: Auth, secret: string, now: () => number = clock.nowMs) {
    this.#auth = auth
    this.#secret = secret
    this.#now = now
  }

  /** A session for the caller who showed the token of this entry. */
  open(entry: Known): string {
    const expires = String(Math.floor(this.#now() / 1000) + sessionS)
    return `${entry.id}.${expires}.${this.#mac(entry, expires).toString('base64url')}`
  }

  /**
   * What opens one session in place of the token, within an hour: for a link that is shown to the
   * operator, because links stay in the history of a browser. A role that was started again does not
   * remember which were used.
   */
  invite(entry: Known): string {
    const expires = String(Math.floor(this.#now() / 1000) + invitationS)
    const once = randomBytes(12).toString('base64url')
    return `${entry.id}.${expires}.${once}.${this.#mac(entry, expires, once).toString('base64url')}`
  }

  /** The entry that an invitation stands for; undefined when it is not ours, over, or was used. */
  redeem(invitation: string): Known | undefined {
    const nowS = this.#now() / 1000
    for (const [once, end] of this.#used) if (end <= nowS) this.#used.delete(once)
    const [id = '', expires = '', once = '', mac = '', ...more] = invitation.split('.')
    if (more.length > 0 || !/^\d{1,12}$/.test(expires) || Number(expires) <= nowS) return undefined
    const given = Buffer.from(mac, 'base64url')
    const found = this.#auth
      .withId(id)
      .find((entry) => equal(this.#mac(entry, expires, once), given))
    if (!found || this.#used.has(once)) return undefined
    this.#used.set(once, Number(expires))
    return found
  }

  /** The entry of a session; undefined when it was not made here, is over, or its token is revoked. */
  find(session: string): { entry: Known; renew: boolean } | undefined {
    const [id = '', expires = '', mac = '', ...more] = session.split('.')
    if (more.length > 0 || !/^\d{1,12}$/.test(expires)) return undefined
    const leftS = Number(expires) - this.#now() / 1000
    if (leftS <= 0) return undefined
    const given = Buffer.from(mac, 'base64url')
    const entry = this.#auth.withId(id).find((known) => equal(this.#mac(known, expires), given))
    return entry && { entry, renew: leftS < sessionS - renewAfterS }
  }

  #mac({ id, hash }: Known, expires: string, once?: string): Buffer {
    const what = once === undefined ? ['wafermon session 1'] : ['wafermon invitation 1', once]
    const text = JSON.stringify([...what, id, expires, this.#secret])
    return createHmac('sha256', hash).update(text).digest()
  }
}

const equal = (a: Buffer, b: Buffer) => a.length === b.length && timingSafeEqual(a, b)
