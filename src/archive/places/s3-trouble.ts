import { AppError } from '../../core/errors.ts'

/* What S3 and its clients say, and what an operator can do about it. */

type Failure = Error & {
  Code?: string
  code?: string
  $metadata?: { httpStatusCode?: number }
  $response?: { headers?: Record<string, string> }
}

/** The code of an answer, or of the failure to get one: `NoSuchBucket`, `ECONNREFUSED`. */
export function codeOf(error: unknown): string {
  const { Code, name, code } = error as Failure
  const given = name === 'Error' || name === 'Unknown' || name === 'AggregateError' ? code : name
  return Code ?? given ?? name
}

/** HTTP status of the answer; undefined when there was none. */
export const statusOf = (error: unknown): number | undefined =>
  (error as Failure).$metadata?.httpStatusCode

export const isAbsent = (error: unknown): boolean =>
  ['NoSuchKey', 'NotFound'].includes(codeOf(error)) && statusOf(error) === 404

type Where = { setting: string; address: string; bucket: string; endpoint: string | undefined }

/** The sentence for each code: what is wrong, and the remedy. */
const known: Record<string, (where: Where, error: Failure) => string> = {
  NoSuchBucket: ({ bucket }) => `there is no bucket ${bucket}; create it, or correct the name`,
  InvalidBucketName: ({ bucket }) => `${bucket} is not a valid name of a bucket; correct it`,
  InvalidAccessKeyId: () => 'the store does not know this access key; correct AWS_ACCESS_KEY_ID',
  SignatureDoesNotMatch: () =>
    'the secret does not belong to the access key; correct AWS_SECRET_ACCESS_KEY',
  RequestTimeTooSkewed: () => skewed,
  RequestExpired: () => skewed,
  ExpiredToken: () => 'the credentials have expired; renew them, or give the machine a role',
  AccessDenied: () =>
    'access is denied; the credentials need the rights of docs/archive-s3.md, and object lock or a policy of the bucket may forbid it',
  AuthorizationHeaderMalformed: (_, error) => region(error),
  PermanentRedirect: (_, error) => region(error),
  CredentialsProviderError: () =>
    'there are no credentials; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or give the machine a role',
  NotImplemented: () => refused,
  InvalidRequest: () => refused,
  InvalidArgument: () => refused,
  MissingContentLength: () => refused,
  XAmzContentSHA256Mismatch: () => altered,
  BadDigest: () => altered,
  InvalidDigest: () => altered,
  QuotaExceeded: () => 'its quota is used up; raise it',
  InsufficientStorage: () => 'the store is full; give it more room',
  SlowDown: () => 'the store asks for fewer requests; it is tried again',
}

const skewed =
  'the clock of this machine differs from the clock of the store by over 15 min; set the clock'
const refused =
  'the store refuses a part of the request that it does not know; try S3_CHECKSUMS=off, and S3_SSE unset'
const altered =
  'the bytes arrived otherwise than they were sent; look at the network and proxies between'

function region({ $response, message }: Failure): string {
  const wanted =
    $response?.headers?.['x-amz-bucket-region'] ?? /expecting '([^']+)'/.exec(message)?.[1]
  return `the bucket is in another region; set S3_REGION${wanted ? ` to ${wanted}` : ''}`
}

/** By how much the clock of a store may differ from ours, as S3 itself has it, in milliseconds. */
const maxSkewMs = 15 * 60_000

/** @param offsetMs by how much the store is ahead. @throws an error for {@link explainS3} */
export function assertClock(offsetMs: number): void {
  if (Math.abs(offsetMs) < maxSkewMs) return
  throw Object.assign(new Error(skewed), { name: 'RequestTimeTooSkewed' })
}

/** No answer, for whatever reason of the network. */
const unreachable =
  /^(ECONN|ENOTFOUND|EAI_|EHOST|ENET|EPIPE|ETIMEDOUT|TimeoutError|AbortError|ERR_STREAM|CERT_|ERR_TLS|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO)/

/** An answer that broke off, or stalled, on its way. */
export const isBroken = (error: unknown): boolean =>
  error instanceof AppError && unreachable.test(codeOf(error.cause))

/** @returns the error for an operator; any other as it came */
export function explainS3(error: unknown, where: Where): unknown {
  if (error instanceof AppError) return error
  const code = codeOf(error)
  const status = statusOf(error)
  const say = (what: string) =>
    new AppError('unavailable', `${where.setting}: ${where.address}: ${what}`, { cause: error })
  const sentence = known[code]
  if (sentence) return say(sentence(where, error as Failure))
  if (status === 301) return say(region(error as Failure))
  if (status === 403) return say(known.AccessDenied?.(where, error as Failure) ?? '')
  const at = where.endpoint ?? 'AWS'
  if (unreachable.test(code)) {
    return say(`${at} does not answer (${code}); look at S3_ENDPOINT, the network and the store`)
  }
  if (status !== undefined && status >= 500) {
    return say(`${at} answers ${status} (${code}); look at the store`)
  }
  const { message } = error as Error
  if (message === 'Region is missing') return say('no region is known; set S3_REGION')
  // So the client says that it cannot make a request of what it was given, a profile or a name.
  const isPlain = Object.getPrototypeOf(error) === Error.prototype
  if (isPlain && status === undefined) return say(`${message}; look at the settings of S3 and AWS`)
  return error
}
