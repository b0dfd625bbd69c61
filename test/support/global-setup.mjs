import { startTestServer } from './own-server.ts'

/*
 * One PostgreSQL for the whole run; the test files find it in TEST_DATABASE_URL, and so use the
 * real thing on every machine. TEST_TIMESCALE_URL, when it is set, reaches them as it is.
 */

let server

export async function globalSetup() {
  if (process.env.TEST_DATABASE_URL) return
  server = await startTestServer()
  process.env.TEST_DATABASE_URL = server.url
}

export async function globalTeardown() {
  await server?.stop()
}
