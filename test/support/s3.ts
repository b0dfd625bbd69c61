import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { S3Client } from '@aws-sdk/client-s3'
import { freshFolder } from './processes.ts'

/* A real S3 server, Ceph RGW (s3.sh). */

const script = fileURLToPath(new URL('./s3.sh', import.meta.url))
const system = join(process.env.WAFERMON_CI_CACHE ?? '/var/cache/wafermon-ci', 'trixie')
const isThere = process.getuid?.() === 0 && existsSync(join(system, 'usr/bin/radosgw'))

/** Pass to `describe` or `test`: says why a test of the real S3 server did not run. */
export const needsS3 = {
  skip: isThere ? false : 'Ceph RGW is not installed: as root, test/support/s3.sh install',
}

const execute = promisify(execFile)

/** What its only user is known by, as the environment has it. */
export const credentials = {
  AWS_ACCESS_KEY_ID: 'AKWAFERMON',
  AWS_SECRET_ACCESS_KEY: 'secretwafermon',
}

/** @returns its address, and what stops it */
export async function startS3(): Promise<{ endpoint: string; stop: () => Promise<unknown> }> {
  const dir = freshFolder()
  const stop = () => execute(script, ['stop', dir])
  const { stdout } = await execute(script, ['start', dir]).catch(async (error: Error) => {
    await stop()
    throw error
  })
  return { endpoint: stdout.trim(), stop }
}

/** A client for what tests do behind the back of the archive. */
export const clientOf = (endpoint: string) =>
  new S3Client({
    ...{ endpoint, region: 'us-east-1', forcePathStyle: true },
    credentials: {
      accessKeyId: credentials.AWS_ACCESS_KEY_ID,
      secretAccessKey: credentials.AWS_SECRET_ACCESS_KEY,
    },
  })
