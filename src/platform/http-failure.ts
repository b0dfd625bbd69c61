/** The ways in which an exchange over HTTP fails without an answer that can be used. */
export type HttpFailureKind =
  /** No connection, or one that broke. */
  | 'unreachable'
  /** The deadline passed before the answer was whole, or before its headers if it is streamed. */
  | 'timeout'
  /** A streamed answer sent nothing for too long. */
  | 'silent'
  | 'too_large'
  | 'redirect'
  /** Not trusted, or not TLS. */
  | 'tls'
  /** Not HTTP, cut off in the middle, or in an encoding that was not asked for. */
  | 'garbled'

const permanentKinds: readonly HttpFailureKind[] = ['too_large', 'redirect', 'tls']

/**
 * An exchange that failed. The message continues a sentence whose subject the caller names: "the
 * API at HOST" + " did not answer within 3 s". It never holds a path, a query or a secret.
 */
export class HttpFailure extends Error {
  override readonly name = 'HttpFailure'
  readonly kind: HttpFailureKind
  /** The same request fails again until an operator changes something. */
  readonly permanent: boolean

  constructor(kind: HttpFailureKind, message: string, cause?: unknown) {
    super(message, { cause })
    this.kind = kind
    this.permanent = permanentKinds.includes(kind)
  }
}

const untrusted = /^(ERR_TLS_|ERR_SSL_|CERT_|UNABLE_TO_|DEPTH_ZERO_|SELF_SIGNED_|HOSTNAME_|EPROTO$)/

/**
 * The failure that an error of Node's HTTP client stands for.
 *
 * @param began the headers of the answer were there
 */
export function toFailure(error: unknown, began: boolean): HttpFailure {
  if (error instanceof HttpFailure) return error
  const { code = '', message } = error as NodeJS.ErrnoException
  const reason = `(${code || message})`
  if (began)
    return new HttpFailure('garbled', `stopped before the end of its answer ${reason}`, error)
  if (untrusted.test(code)) return new HttpFailure('tls', `cannot be reached ${reason}`, error)
  if (code.startsWith('HPE_')) {
    return new HttpFailure('garbled', `answered with something that is not HTTP ${reason}`, error)
  }
  return new HttpFailure('unreachable', `cannot be reached ${reason}`, error)
}

/** The same request with such a status is refused again, until an operator or the caller changes it. */
export function isPermanentStatus(status: number): boolean {
  if (status === 501 || status === 505) return true
  return status >= 400 && status < 500 && ![408, 425, 429].includes(status)
}
