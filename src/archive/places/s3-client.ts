import type { S3Client, S3ClientConfig } from '@aws-sdk/client-s3'
import { AppError } from '../../core/errors.ts'
import type { S3Settings } from './s3-settings.ts'
import { assertClock, explainS3 } from './s3-trouble.ts'

/* The official client, made when it is first used: a role without S3 does not load it. */

type Module = typeof import('./s3-sdk.ts')

/** A store that is silent this long is away, in milliseconds. */
const standardSilentMs = 30_000
/** A request that is tried again and again ends after this, in milliseconds. */
const longestMs = 180_000
/** How often one is tried in all: what is busy or broken for a moment is asked again, later each time. */
const attempts = 5

export type BucketSettings = S3Settings & { S3_BUCKET: string }

/** The place, as messages name it. */
type Named = {
  setting: string
  address: string
  /** A store that is silent this long is away, in milliseconds (default 30 s). */
  silentMs?: number
}

/** What all requests need. */
export class S3Requests {
  readonly #settings: S3Settings
  readonly #where: Parameters<typeof explainS3>[1]
  readonly #silentMs: number
  #made: Promise<{ client: S3Client; s3: Module }> | undefined

  constructor(settings: BucketSettings, { setting, address, silentMs = standardSilentMs }: Named) {
    this.#settings = settings
    this.#silentMs = silentMs
    const { S3_BUCKET: bucket, S3_ENDPOINT: endpoint } = settings
    this.#where = { setting, address, bucket, endpoint }
  }

  /**
   * Makes one request.
   *
   * @throws AppError unavailable, with the remedy; what is not of that kind as it came
   */
  async send<Answer>(
    ask: (s3: Module, client: S3Client, signal: { abortSignal: AbortSignal }) => Promise<Answer>,
  ): Promise<Answer> {
    try {
      const { client, s3 } = await this.#make()
      const answer = await ask(s3, client, { abortSignal: AbortSignal.timeout(longestMs) })
      // The client corrects its own clock silently. But all times of the archiver come from the wrong one.
      assertClock(client.config.systemClockOffset)
      return answer
    } catch (error) {
      throw explainS3(error, this.#where)
    }
  }

  /** All bytes of an answer, at most so many. @throws when they stop coming */
  async readBody(
    body: AsyncIterable<Uint8Array> & { destroy?: () => void },
    most: number,
  ): Promise<Buffer> {
    const parts: Uint8Array[] = []
    let bytes = 0
    const late = setTimeout(() => body.destroy?.(), this.#silentMs)
    try {
      for await (const part of body) {
        late.refresh()
        parts.push(part)
        bytes += part.byteLength
        if (bytes > most)
          throw new AppError('unavailable', 'the store sends more than it was asked for')
      }
      return Buffer.concat(parts)
    } catch (error) {
      throw explainS3(error, this.#where)
    } finally {
      clearTimeout(late)
      body.destroy?.()
    }
  }

  #make() {
    this.#made ??= import('./s3-sdk.ts').then((s3) => ({
      client: new s3.S3Client(toConfig(this.#settings, this.#silentMs)),
      s3,
    }))
    return this.#made
  }
}

function toConfig(settings: S3Settings, silentMs: number): S3ClientConfig {
  const { S3_ENDPOINT: endpoint, S3_REGION, S3_PATH_STYLE, S3_CHECKSUMS } = settings
  const region = S3_REGION ?? (endpoint ? 'us-east-1' : undefined)
  return {
    ...(endpoint ? { endpoint } : {}),
    ...(region ? { region } : {}),
    forcePathStyle: S3_PATH_STYLE ?? endpoint !== undefined,
    maxAttempts: attempts,
    requestChecksumCalculation: S3_CHECKSUMS === 'on' ? 'WHEN_SUPPORTED' : 'WHEN_REQUIRED',
    // What is read is compared with the hash in the manifest, whatever the store says of it.
    responseChecksumValidation: 'WHEN_REQUIRED',
    requestHandler: {
      connectionTimeout: 5000,
      socketTimeout: silentMs,
      requestTimeout: silentMs,
      throwOnRequestTimeout: true,
    },
  }
}
