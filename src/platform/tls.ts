import { X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import type { RequestListener, ServerOptions } from 'node:http'
import { createServer, type Server } from 'node:https'
import { createSecureContext } from 'node:tls'
import { ConfigError } from '../core/errors.ts'

/** Paths of PEM files: ours, and the authority whose certificates callers must show. */
export type TlsFiles = {
  cert?: string | undefined
  key?: string | undefined
  ca?: string | undefined
}

/**
 * @returns undefined when the files ask for no TLS
 * @throws ConfigError when one of them cannot be used
 */
export function createTlsServer(
  options: ServerOptions,
  files: TlsFiles,
  listener: RequestListener,
): Server | undefined {
  if (!files.cert || !files.key) return undefined
  const cert = readPem('TLS_CERT', 'cert', files.cert)
  const key = readPem('TLS_KEY', 'key', files.key)
  const ca = files.ca ? { ca: readPem('TLS_CA', 'ca', files.ca), requestCert: true } : {}
  try {
    return createServer({ ...options, cert, key, ...ca }, listener)
  } catch {
    throw new ConfigError('TLS_KEY: does not match TLS_CERT; replace both')
  }
}

function readPem(name: string, kind: 'cert' | 'key' | 'ca', file: string): Buffer {
  const pem = readFile(name, file)
  try {
    createSecureContext({ [kind]: pem })
    if (kind === 'ca') new X509Certificate(pem)
    return pem
  } catch {
    const what = kind === 'key' ? 'private key without a passphrase' : 'certificate'
    throw new ConfigError(
      `${name}: ${file} is not a PEM ${what}; give a file that begins -----BEGIN`,
    )
  }
}

function readFile(name: string, file: string): Buffer {
  try {
    return readFileSync(file)
  } catch {
    throw new ConfigError(`${name}: cannot read ${file}; give a PEM file that this user may read`)
  }
}
