import type * as z from 'zod'
import { choice, httpUrl, readFlag, text } from '../../platform/settings/kinds.ts'

/** Where an archive lies in S3, and how to talk to it. The settings that it comes from, by their names. */
export const s3Settings = {
  S3_BUCKET: text(
    'Bucket of the archive, in S3 or anything that speaks its protocol, in place of ARCHIVE_DIR. Credentials are found as by all programs of AWS: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, a profile, or the role of the machine.',
    { place: true },
  ).optional(),
  S3_PREFIX: text('What the names of all objects of the archive begin with, as a folder.', {
    place: true,
  })
    .refine(isPrefix, 'must be names with a slash between them, as fab1/archive')
    .optional(),
  S3_ENDPOINT: httpUrl('Address of a store other than that of AWS, as https://s3.fab1.example.', {
    place: true,
  }).optional(),
  S3_REGION: text(
    'Region of the bucket. Unless set, that of the AWS settings of this machine; with an S3_ENDPOINT, us-east-1.',
    {
      place: true,
    },
  ).optional(),
  S3_PATH_STYLE: readFlag(
    'Put the bucket into the path of an address and not before its host. On with an S3_ENDPOINT, off without, unless set.',
    { place: true },
  ).optional(),
  S3_CHECKSUMS: choice(
    'SHA-256 and MD5 go along with all that is written; off sends MD5 alone, for stores that refuse the other.',
    ['on', 'off'],
    'on',
  ),
  S3_SSE: text(
    'Encryption at rest that is asked for: AES256, aws:kms, or aws:kms:KEY with the id of a key. The default of the bucket unless set.',
  )
    .refine(
      (value) => /^(AES256|aws:kms(:.+)?)$/.test(value),
      'must be AES256, aws:kms or aws:kms:KEY',
    )
    .optional(),
}

export type S3Settings = z.infer<z.ZodObject<typeof s3Settings>>

function isPrefix(value: string): boolean {
  const parts = value.replace(/\/$/, '').split('/')
  return parts.every((part) => part !== '' && part !== '.' && part !== '..' && !part.includes('\0'))
}

/** The settings of `s3://bucket/prefix`; undefined when it is no such address. */
export function fromAddress(
  address: string,
): { S3_BUCKET: string; S3_PREFIX: string | undefined } | undefined {
  const [, bucket, prefix] = /^s3:\/\/([^/]*)(?:\/(.*))?$/.exec(address) ?? []
  return bucket === undefined ? undefined : { S3_BUCKET: bucket, S3_PREFIX: prefix || undefined }
}
