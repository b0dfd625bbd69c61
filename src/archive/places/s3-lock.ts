import { AppError } from '../../core/errors.ts'
import type { S3Requests } from './s3-client.ts'
import { codeOf } from './s3-trouble.ts'

/* Object lock: what the store itself refuses to delete. */

/** Answers of stores and buckets without it. */
const without = new Set([
  'ObjectLockConfigurationNotFoundError',
  'NotImplemented',
  'MethodNotAllowed',
])

/** True when the bucket has object lock. @throws AppError unavailable, when that may not be asked */
export async function hasLock(requests: S3Requests, Bucket: string): Promise<boolean> {
  try {
    const answer = await requests.send((s3, client, signal) =>
      client.send(new s3.GetObjectLockConfigurationCommand({ Bucket }), signal),
    )
    return answer.ObjectLockConfiguration?.ObjectLockEnabled === 'Enabled'
  } catch (error) {
    const answered = error instanceof AppError ? error.cause : error
    if (without.has(codeOf(answered))) return false
    throw error
  }
}

/** Sets or takes off the legal hold of the version of an object that is read. */
export async function setLegalHold(
  requests: S3Requests,
  object: { Bucket: string; Key: string },
  held: boolean,
): Promise<void> {
  const LegalHold = { Status: held ? ('ON' as const) : ('OFF' as const) }
  await requests.send((s3, client, signal) =>
    client.send(new s3.PutObjectLegalHoldCommand({ ...object, LegalHold }), signal),
  )
}
