import { createHash } from 'node:crypto'
import { AppError } from '../../core/errors.ts'
import { sleep } from '../../platform/backoff.ts'
import type { ByteRange } from './place.ts'
import { type BucketSettings, S3Requests } from './s3-client.ts'
import { codeOf, isAbsent, isBroken, statusOf } from './s3-trouble.ts'

/* The requests of a place in S3, on keys of its bucket. */

/** Bytes of a part that is copied within the store; at most 5 GiB. */
const copyBytes = 2 ** 30
/** How often bytes are asked for whose answers break off. */
const readings = 4
/** How often a name is asked for that others are asking for as well. */
const conflicts = 8

type Found = { key: string; bytes: number }

export class S3Objects extends S3Requests {
  readonly #bucket: string
  readonly #write: object
  readonly #isSummed: boolean

  constructor(
    settings: BucketSettings,
    place: { setting: string; address: string; silentMs?: number },
  ) {
    super(settings, place)
    this.#bucket = settings.S3_BUCKET
    this.#isSummed = settings.S3_CHECKSUMS === 'on'
    const [sse, key] = splitSse(settings.S3_SSE)
    this.#write = {
      ...(sse ? { ServerSideEncryption: sse } : {}),
      ...(key ? { SSEKMSKeyId: key } : {}),
    }
  }

  /** Writes an object, whatever was there. @returns its version, in a bucket that keeps versions */
  async put(
    key: string,
    body: Buffer,
    conditions: { IfNoneMatch?: string } = {},
  ): Promise<string | undefined> {
    const sums = this.#sumsOf(body)
    const input = { ...this.#at(key), ...this.#write, ...sums, ...conditions, Body: body }
    const { VersionId } = await this.send((s3, client, signal) =>
      client.send(new s3.PutObjectCommand({ ...input, ContentLength: body.byteLength }), signal),
    )
    return VersionId === 'null' ? undefined : VersionId
  }

  /** @returns false when the key is taken */
  putOnce(key: string, body: Buffer): Promise<boolean> {
    return onceGiven(() => this.put(key, body, { IfNoneMatch: '*' }))
  }

  /** Writes an object in parts, whatever was there. Nothing is left of it when that fails. */
  putParts(key: string, first: Buffer, others: AsyncIterable<Buffer>): Promise<void> {
    return this.#inParts(key, {}, async (id) => {
      const parts = [await this.#putPart(key, id, 1, first)]
      for await (const part of others) {
        parts.push(await this.#putPart(key, id, parts.length + 1, part))
      }
      return parts
    })
  }

  /** Copies an object within the store. @returns false when the key is taken; @throws absence of `from` */
  async copyOnce(from: string, to: string, bytes: number): Promise<boolean> {
    if ((await this.sizeOf(to)) !== undefined) return false
    const source = `${this.#bucket}/${from.split('/').map(encodeURIComponent).join('/')}`
    const copy = () =>
      this.#inParts(to, { IfNoneMatch: '*' }, async (id) => {
        const parts: Part[] = []
        for (let at = 0; at < bytes; at += copyBytes) {
          const range = `bytes=${at}-${Math.min(bytes, at + copyBytes) - 1}`
          const PartNumber = parts.length + 1
          const answer = await this.send((s3, client, signal) =>
            client.send(
              new s3.UploadPartCopyCommand({
                ...{ ...this.#at(to), UploadId: id, PartNumber },
                ...{ CopySource: source, CopySourceRange: range },
              }),
              signal,
            ),
          )
          const { ETag, ChecksumSHA256 } = answer.CopyPartResult ?? {}
          parts.push({ PartNumber, ETag, ...(ChecksumSHA256 ? { ChecksumSHA256 } : {}) })
        }
        return parts
      })
    return onceGiven(copy)
  }

  /** What of the range is there; it is asked for again when an answer breaks off. */
  async read(key: string, range: ByteRange): Promise<Buffer> {
    for (let tried = 1; ; tried++) {
      try {
        return await this.#readOnce(key, range)
      } catch (error) {
        if (!isBroken(error) || tried === readings) throw error
        await sleep(100 * 2 ** tried)
      }
    }
  }

  async #readOnce(key: string, { from, to }: ByteRange): Promise<Buffer> {
    try {
      const { Body } = await this.send((s3, client, signal) =>
        client.send(
          new s3.GetObjectCommand({ ...this.#at(key), Range: `bytes=${from}-${to - 1}` }),
          signal,
        ),
      )
      return await this.readBody(Body as never, to - from)
    } catch (error) {
      if (codeOf(error) === 'InvalidRange') return Buffer.alloc(0)
      throw error
    }
  }

  /** Size of an object; undefined when there is none. */
  async sizeOf(key: string): Promise<number | undefined> {
    try {
      const { ContentLength } = await this.send((s3, client, signal) =>
        client.send(new s3.HeadObjectCommand(this.#at(key)), signal),
      )
      return ContentLength ?? 0
    } catch (error) {
      if (!isAbsent(error)) throw error
      // A HEAD has no words: a bucket that is gone looks the same.
      const [found] = (await this.page(key, { most: 1 })).objects
      return found?.key === key ? found.bytes : undefined
    }
  }

  /** What is thrown when a key that must be there is not. */
  absence(key: string): Error {
    return Object.assign(new Error(`${key} is not there`), {
      name: 'NoSuchKey',
      $metadata: { httpStatusCode: 404 },
    })
  }

  async *list(prefix: string): AsyncGenerator<Found> {
    let next: string | undefined
    do {
      const page = await this.page(prefix, { from: next })
      yield* page.objects
      next = page.next
    } while (next !== undefined)
  }

  async page(
    prefix: string,
    { from, most }: { from?: string | undefined; most?: number },
  ): Promise<{ objects: Found[]; next: string | undefined }> {
    const {
      Contents = [],
      NextContinuationToken,
      IsTruncated,
    } = await this.send((s3, client, signal) =>
      client.send(
        new s3.ListObjectsV2Command({
          ...{ Bucket: this.#bucket, Prefix: prefix },
          ...(from === undefined ? {} : { ContinuationToken: from }),
          ...(most === undefined ? {} : { MaxKeys: most }),
        }),
        signal,
      ),
    )
    if (IsTruncated && NextContinuationToken === undefined) {
      throw new AppError('unavailable', 'the store says that its list continues, and not where')
    }
    const objects = Contents.map(({ Key = '', Size = 0 }) => ({ key: Key, bytes: Size }))
    return { objects, next: IsTruncated ? NextContinuationToken : undefined }
  }

  /** @param VersionId the only version to remove, and for good */
  async remove(key: string, VersionId?: string): Promise<void> {
    const version = VersionId === undefined ? {} : { VersionId }
    await this.send((s3, client, signal) =>
      client.send(new s3.DeleteObjectCommand({ ...this.#at(key), ...version }), signal),
    )
  }

  /** Gives up uploads that were begun and not completed. */
  async abortUploads(prefix: string, which: (key: string) => boolean): Promise<void> {
    let marker: { KeyMarker?: string; UploadIdMarker?: string } | undefined = {}
    while (marker !== undefined) {
      const from: object = marker
      const answer = await this.send((s3, client, signal) =>
        client.send(
          new s3.ListMultipartUploadsCommand({ Bucket: this.#bucket, Prefix: prefix, ...from }),
          signal,
        ),
      )
      for (const { Key = '', UploadId } of answer.Uploads ?? []) {
        if (which(Key)) await this.#abort(Key, UploadId)
      }
      const { IsTruncated, NextKeyMarker = '', NextUploadIdMarker = '' } = answer
      marker = IsTruncated
        ? { KeyMarker: NextKeyMarker, UploadIdMarker: NextUploadIdMarker }
        : undefined
    }
  }

  async #inParts(
    key: string,
    conditions: { IfNoneMatch?: string },
    write: (uploadId: string) => Promise<Part[]>,
  ): Promise<void> {
    const sum = this.#isSummed ? { ChecksumAlgorithm: 'SHA256' as const } : {}
    const { UploadId = '' } = await this.send((s3, client, signal) =>
      client.send(
        new s3.CreateMultipartUploadCommand({ ...this.#at(key), ...this.#write, ...sum }),
        signal,
      ),
    )
    try {
      const Parts = await write(UploadId)
      await this.send((s3, client, signal) =>
        client.send(
          new s3.CompleteMultipartUploadCommand({
            ...{ ...this.#at(key), ...conditions, UploadId, MultipartUpload: { Parts } },
          }),
          signal,
        ),
      )
    } catch (error) {
      await this.#abort(key, UploadId).catch(() => {})
      throw error
    }
  }

  async #putPart(key: string, UploadId: string, PartNumber: number, body: Buffer): Promise<Part> {
    const sums = this.#sumsOf(body)
    const { ETag } = await this.send((s3, client, signal) =>
      client.send(
        new s3.UploadPartCommand({
          ...{ ...this.#at(key), ...sums, UploadId, PartNumber, Body: body },
          ContentLength: body.byteLength,
        }),
        signal,
      ),
    )
    return {
      PartNumber,
      ETag,
      ...('ChecksumSHA256' in sums ? { ChecksumSHA256: sums.ChecksumSHA256 } : {}),
    }
  }

  async #abort(key: string, UploadId: string | undefined): Promise<void> {
    try {
      await this.send((s3, client, signal) =>
        client.send(new s3.AbortMultipartUploadCommand({ ...this.#at(key), UploadId }), signal),
      )
    } catch (error) {
      if (codeOf(error) !== 'NoSuchUpload') throw error
    }
  }

  readonly #at = (key: string) => ({ Bucket: this.#bucket, Key: key })

  /** Which of them a store looks at differs from store to store. */
  #sumsOf(body: Buffer) {
    const ContentMD5 = createHash('md5').update(body).digest('base64')
    if (!this.#isSummed) return { ContentMD5 }
    const ChecksumSHA256 = createHash('sha256').update(body).digest('base64')
    return { ContentMD5, ChecksumSHA256, ChecksumAlgorithm: 'SHA256' as const }
  }
}

type Part = { PartNumber: number; ETag: string | undefined; ChecksumSHA256?: string }

/** Another one that asks for the same name at the same moment is waited for. @returns false when it is taken */
async function onceGiven(give: () => Promise<unknown>): Promise<boolean> {
  for (let tried = 1; ; tried++) {
    try {
      await give()
      return true
    } catch (error) {
      if (statusOf(error) === 412) return false
      if (statusOf(error) !== 409) throw error
      if (tried === conflicts) {
        const message = `the store refused a name ${tried} times because of others that ask for it (409); look at what else writes there`
        throw new AppError('unavailable', message, { cause: error })
      }
      await sleep(100 * tried)
    }
  }
}

function splitSse(setting: string | undefined) {
  if (setting === undefined) return []
  const [, kind, key] = /^(AES256|aws:kms)(?::(.+))?$/.exec(setting) ?? []
  return [kind as 'AES256' | 'aws:kms', key] as const
}
