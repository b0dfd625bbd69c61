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

export type S3Server = {
  endpoint: string
  /** Makes another user, who may do nothing yet. @returns what it is known by */
  addUser: (name: string) => Promise<typeof credentials>
  stop: () => Promise<unknown>
}

export async function startS3(): Promise<S3Server> {
  const dir = freshFolder()
  const stop = () => execute(script, ['stop', dir])
  const { stdout } = await execute(script, ['start', dir]).catch(async (error: Error) => {
    await stop()
    throw error
  })
  const addUser = async (name: string) => {
    await execute(script, ['user', dir, name])
    return { AWS_ACCESS_KEY_ID: name, AWS_SECRET_ACCESS_KEY: `secret${name}` }
  }
  return { endpoint: stdout.trim(), addUser, stop }
}

/** A client for what tests do behind the back of the archive. */
export const clientOf = (endpoint: string, as: typeof credentials = credentials) =>
  new S3Client({
    ...{ endpoint, region: 'us-east-1', forcePathStyle: true },
    credentials: {
      accessKeyId: as.AWS_ACCESS_KEY_ID,
      secretAccessKey: as.AWS_SECRET_ACCESS_KEY,
    },
  })
